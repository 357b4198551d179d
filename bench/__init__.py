"""Benchmarks: what Reddot claims about speed and size, measured beside its peers (README.md)."""
