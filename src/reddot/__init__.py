"""Reddot: one publish, six transports, an exactly right red dot."""

__version__ = "0.1.0"
