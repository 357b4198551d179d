"""Golden transcripts: every transport answers what its file says, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wire.transcript import replay, transcripts


@pytest.mark.parametrize("path", transcripts(), ids=lambda path: path.stem)
def test_the_server_answers_as_it_is_written(path: Path) -> None:
    text = path.read_text()
    assert replay(text) == text, "python -m tests.wire.transcript writes them anew"
