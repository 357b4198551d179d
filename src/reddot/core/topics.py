"""Topic names and filters: the rules, matching, covering, and the index from topic to groups.

A filter is a topic with MQTT wildcards: `+` is one level, `#` the rest, its parent included
(MQTT 5.0 section 4.7.1). Matching walks levels; there is no regular expression.

A wildcard in the first level matches neither topics that begin with `$` (MQTT 5.0 section 4.7.2)
nor `users/…`: a broad filter never reaches into people's own topics (DESIGN 2.4).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, TypeVar

from reddot.errors import ReddotError
from reddot.model import USERS_ROOT

TOPIC_BYTES_MAX: Final = 1024
TOPIC_LEVELS_MAX: Final = 32

_FORBIDDEN: Final = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0))))

T = TypeVar("T")


def _check_text(text: str, code: str, bytes_max: int, levels_max: int) -> None:
    if not text:
        raise ReddotError(code, "empty")
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise ReddotError(code, "not valid UTF-8") from None
    if size > bytes_max:
        raise ReddotError(code, f"longer than {bytes_max} bytes")
    if text.count("/") >= levels_max:
        raise ReddotError(code, f"more than {levels_max} levels")
    if not (text.isascii() and text.isprintable()) and not _FORBIDDEN.isdisjoint(text):
        raise ReddotError(code, "control character")


def check_topic(
    topic: str, *, bytes_max: int = TOPIC_BYTES_MAX, levels_max: int = TOPIC_LEVELS_MAX
) -> str:
    """Return `topic` if it is a valid name; raise `topic_invalid` otherwise.

    Empty levels are legal, as in MQTT. Whether `$…` may be used is a matter of access.
    """
    _check_text(topic, "topic_invalid", bytes_max, levels_max)
    if "+" in topic or "#" in topic:
        raise ReddotError("topic_invalid", "wildcards belong in filters")
    return topic


def check_filter(
    text: str, *, bytes_max: int = TOPIC_BYTES_MAX, levels_max: int = TOPIC_LEVELS_MAX
) -> str:
    """Return `text` if it is a valid filter; raise `filter_invalid` otherwise.

    `#` only as the whole last level, `+` only as a whole level (MQTT 5.0 section 4.7.1).
    """
    _check_text(text, "filter_invalid", bytes_max, levels_max)
    if "#" not in text and "+" not in text:
        return text
    levels = text.split("/")
    for depth, level in enumerate(levels):
        if "#" in level and (level != "#" or depth != len(levels) - 1):
            raise ReddotError("filter_invalid", "'#' must be the whole last level")
        if "+" in level and level != "+":
            raise ReddotError("filter_invalid", "'+' must be a whole level")
    return text


def is_exact(text: str) -> bool:
    """Whether a filter has no wildcard, and so names one topic."""
    return "#" not in text and "+" not in text


def _guarded(level: str) -> bool:
    """Whether a wildcard in the first level must not match this first level of a topic."""
    return level.startswith("$") or level == USERS_ROOT


def matches(text: str, topic: str) -> bool:
    """Whether the filter `text` selects `topic`. Both are taken as valid."""
    if text == topic:
        return True
    if is_exact(text):
        return False
    return _covers(text.split("/"), topic.split("/"))


def covers(broad: str, narrow: str) -> bool:
    """Whether every topic that the filter `narrow` selects is selected by the filter `broad`.

    `+/#` means the same as `#` and is not said to cover it: no is the safe answer.
    """
    return broad == narrow or _covers(broad.split("/"), narrow.split("/"))


def _covers(broad: list[str], narrow: list[str]) -> bool:
    if broad[0] in ("+", "#") and _guarded(narrow[0]):
        return False
    for depth, level in enumerate(broad):
        if level == "#":
            return True
        if depth == len(narrow):
            return False
        other = narrow[depth]
        if other == "#" or (level != "+" and level != other):
            return False
    return len(broad) == len(narrow)


def overlaps(one: str, two: str) -> bool:
    """Whether some topic is selected by both filters."""
    a, b = one.split("/"), two.split("/")
    for first, second in ((a[0], b[0]), (b[0], a[0])):
        if first in ("+", "#") and _guarded(second):
            return False
    depth = 0
    while depth < len(a) and depth < len(b):
        if a[depth] == "#" or b[depth] == "#":
            return True
        if a[depth] != b[depth] and "+" not in (a[depth], b[depth]):
            return False
        depth += 1
    rest = a[depth:] or b[depth:]
    return not rest or rest == ["#"]


class _Node(Generic[T]):
    __slots__ = ("children", "here", "rest")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.here: dict[T, None] = {}
        self.rest: dict[T, None] = {}

    def empty(self) -> bool:
        return not (self.children or self.here or self.rest)


class TopicIndex(Generic[T]):
    """From a topic to the values whose filters select it.

    Exact filters live in one dict, wildcard filters in a trie of levels, so that the common case
    is one lookup; a filter with one value, as everybody's own topic has, costs no second dict. A
    value added under several filters that select one topic is returned once.
    """

    __slots__ = ("_exact", "_root", "_wild")

    def __init__(self) -> None:
        self._exact: dict[str, tuple[T] | dict[T, None]] = {}
        self._root: _Node[T] = _Node()
        self._wild = 0

    def add(self, text: str, value: T) -> None:
        """Add `value` under the valid filter `text`; adding twice is the same as once."""
        if is_exact(text):
            found = self._exact.get(text)
            if found is None:
                self._exact[text] = (value,)
            elif isinstance(found, dict):
                found[value] = None
            elif found[0] != value:
                self._exact[text] = {found[0]: None, value: None}
            return
        levels = text.split("/")
        node = self._root
        for level in levels if levels[-1] != "#" else levels[:-1]:
            node = node.children.setdefault(level, _Node())
        values = node.rest if levels[-1] == "#" else node.here
        self._wild += value not in values
        values[value] = None

    def remove(self, text: str, value: T) -> None:
        """Remove what `add` added; the trie forgets levels that nobody uses."""
        if is_exact(text):
            found = self._exact.get(text)
            if isinstance(found, dict):
                found.pop(value, None)
            if not found or found == (value,):
                self._exact.pop(text, None)
            return
        levels = text.split("/")
        path = [self._root]
        for level in levels if levels[-1] != "#" else levels[:-1]:
            child = path[-1].children.get(level)
            if child is None:
                return
            path.append(child)
        values = path[-1].rest if levels[-1] == "#" else path[-1].here
        self._wild -= value in values
        values.pop(value, None)
        for depth in range(len(path) - 1, 0, -1):
            if not path[depth].empty():
                break
            del path[depth - 1].children[levels[depth - 1]]

    def match(self, topic: str) -> Iterable[T]:
        """The values whose filters select `topic`, each once. Do not change the index meanwhile."""
        exact = self._exact.get(topic)
        if not self._wild:
            return exact or ()
        found: dict[T, None] = dict.fromkeys(exact) if exact else {}
        levels = topic.split("/")
        guarded = _guarded(levels[0])
        nodes = [self._root]
        for depth, level in enumerate(levels):
            following = []
            for node in nodes:
                if not (guarded and depth == 0):
                    found.update(node.rest)
                    if (plus := node.children.get("+")) is not None:
                        following.append(plus)
                if (child := node.children.get(level)) is not None:
                    following.append(child)
            nodes = following
            if not nodes:
                return found
        for node in nodes:
            found.update(node.here)
            found.update(node.rest)
        return found
