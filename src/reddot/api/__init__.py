"""Thin HTTP for people and tools: parse, one core call, encode. No rule, no SQL."""
