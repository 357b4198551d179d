"""Blocks between two processes: whole and in order, however the bytes come."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from struct import pack

import pytest

from reddot.net.pipe import Pipe


def framed(*blocks: bytes) -> bytes:
    return b"".join(pack("!I", len(block)) + block for block in blocks)


@pytest.mark.parametrize("at_once", [1, 2, 3, 5, 7, 1_000_000])
def test_blocks_come_whole_and_in_order_however_the_bytes_are_cut(at_once: int) -> None:
    blocks = [b"", b"a", b"x" * 300, b"", b"end"]
    found: list[bytes] = []
    pipe = Pipe(found.append, lambda: None)
    data = framed(*blocks)
    for start in range(0, len(data), at_once):
        pipe.data_received(data[start : start + at_once])
    assert found == blocks


def test_both_ends_talk_and_each_hears_once_that_the_other_is_gone() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        said: dict[str, list[bytes]] = {"a": [], "b": []}
        ended: list[str] = []
        pipes = {name: Pipe(said[name].append, partial(ended.append, name)) for name in "ab"}
        for name, end in zip("ab", socket.socketpair(), strict=True):
            await loop.create_connection(partial(pipes.__getitem__, name), sock=end)
        pipes["a"].send(b"x" * 1_000_000)
        pipes["b"].send(b"hello")
        while not (said["a"] and said["b"]):
            await asyncio.sleep(0)
        assert (said["a"], len(said["b"][0])) == ([b"hello"], 1_000_000)
        pipes["b"].close()
        while len(ended) < 2:
            await asyncio.sleep(0)
        pipes["a"].send(b"lost")
        pipes["a"].close()
        assert sorted(ended) == ["a", "b"]

    asyncio.run(scenario())
