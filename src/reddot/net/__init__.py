"""Bytes and sockets, no idea of topics."""
