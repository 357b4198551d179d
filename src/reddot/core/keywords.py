"""Keyword review: does a text contain one of the operator's words.

Core: pure. Letters are compared without regard to case, width, ligatures and invisible characters
(Unicode's caseless matching, section 3.13 of the standard). A keyword is found as a whole word; in
writing without spaces between words, such as Chinese, wherever it stands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

TEXTS_CACHED_MAX: Final = 64

# Thai to Lao, Myanmar, Khmer, Hangul (its particles follow without a space), kana, Han.
_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\u3040-\u31ff\u3400-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_LETTER: Final = rf"[^\W{_UNSPACED}]"


@lru_cache(maxsize=TEXTS_CACHED_MAX)
def found_keyword(keywords: tuple[str, ...], text: str) -> str | None:
    """The first of the keywords that stands in the text, as the operator wrote it."""
    pattern, written = _compiled(keywords)
    found = pattern.search(folded(text))
    return None if found is None else written[found[0]]


def folded(text: str) -> str:
    """Equal for texts that a reader would call the same; white space is one blank."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    visible = (one for one in folded if unicodedata.category(one) != "Cf")
    return " ".join("".join(visible).split())


@lru_cache(maxsize=TEXTS_CACHED_MAX)
def _compiled(keywords: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    """A pattern of all keywords, and which one was written for what it finds."""
    written = {folded(one): one for one in keywords}
    written.pop("", None)
    alternatives = "|".join(map(_whole, _longest_first(written)))
    return re.compile(alternatives or r"(?!)"), written


def _longest_first(words: Iterable[str]) -> list[str]:
    return sorted(words, key=len, reverse=True)


def _whole(word: str) -> str:
    """The word, and no letter of a spaced writing beside an end that is one itself."""
    head = rf"(?<!{_LETTER})" if re.match(_LETTER, word) else ""
    tail = rf"(?!{_LETTER})" if re.match(_LETTER, word[-1]) else ""
    return head + re.escape(word) + tail
