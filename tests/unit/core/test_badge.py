"""The rules of the red dot against plain sets, and each edge by name.

The oracle keeps one record per notification and person, and counts by looking at every one. It is
shown three broken rules, which it has to notice.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from reddot.core import badge
from reddot.core.badge import Mask, count, joined, mark, mark_upto, raised
from reddot.inbox import UNMARKED, As, Marks, Notes, Snoozed

CATEGORIES = ["general", "mention", "system"]
STATES: list[As] = ["seen", "read", "unread", "archived", "unarchived", "deleted"]
EMPTY = Notes(base=0, top=0, rev=0, live=0, categories={})


@dataclass
class Record:
    """One notification in one inbox."""

    category: str
    live: bool = True
    read: bool = False
    archived: bool = False
    deleted: bool = False


@dataclass
class Oracle:
    """One person and one topic."""

    records: dict[int, Record] = field(default_factory=dict)
    member: dict[int, Record] = field(default_factory=dict)
    seen_upto: int = 0

    def apply(self, state: As, seqs: list[int]) -> None:
        for seq in seqs:
            record = self.member.get(seq)
            if record is None:
                continue
            if state == "seen":
                self.seen_upto = max(self.seen_upto, seq)
            elif state in ("read", "unread"):
                record.read = state == "read"
            elif state == "deleted":
                record.deleted = True
            else:
                record.archived = state == "archived"

    def counts(self, muted: frozenset[str]) -> tuple[int, int, dict[str, int]]:
        unread = unseen = 0
        by_category: dict[str, int] = {}
        for seq, one in self.member.items():
            hidden = one.read or one.archived or one.deleted or one.category in muted
            if one.live and not hidden:
                unread += 1
                unseen += seq > self.seen_upto
                by_category[one.category] = by_category.get(one.category, 0) + 1
        return unread, unseen, by_category


def differences(seed: int, steps: int) -> int:
    """How often one random life of one inbox disagrees with the oracle."""
    chance = random.Random(seed)
    oracle, mask, marks = Oracle(), Mask(EMPTY), UNMARKED
    wrong = 0
    for _ in range(steps):
        top = len(oracle.records)
        what = chance.choice(["add", "add", "mark", "mark", "upto", "die", "follow", "trim"])
        some = [chance.randint(1, top) for _ in range(chance.randint(1, 3))] if top else []
        if what == "add":
            record = Record(chance.choice(CATEGORIES))
            oracle.records[top + 1] = oracle.member[top + 1] = record
            mask.add(top + 1, record.category, None, top + 1)
        elif what == "mark" and some:
            state = chance.choice(STATES)
            oracle.apply(state, some)
            marks = mark(marks, state, some)
        elif what == "upto" and some:
            state = chance.choice(STATES)
            oracle.apply(state, [seq for seq in oracle.records if seq <= some[0]])
            marks = mark_upto(marks, state, some[0])
        elif what == "die" and some:
            for seq in some:
                oracle.records[seq].live = False
            mask.kill(some, top)
        elif what == "follow" and chance.random() < 0.3:
            backfill = chance.randint(0, 3)
            marks = joined(None, top=top, backfill=backfill)
            oracle.member = {
                seq: Record(one.category, one.live)
                for seq, one in oracle.records.items()
                if seq > top - backfill
            }
            for seq in oracle.member:
                oracle.records[seq] = oracle.member[seq]
            oracle.seen_upto = max(0, top - backfill)
        elif what == "trim" and some and chance.random() < 0.3:
            floor = some[0]
            mask.kill(range(1, floor + 1), top)
            marks = raised(marks, floor)
            for seq in range(1, floor + 1):
                oracle.records[seq].live = False
                oracle.member.pop(seq, None)
            oracle.seen_upto = max(oracle.seen_upto, floor)
        muted = frozenset(chance.sample(CATEGORIES, chance.choice([0, 0, 1])))
        by_category: dict[str, int] = {}
        found = count(mask, marks, muted, by_category)
        wrong += (*found, by_category) != oracle.counts(muted)
        assert marks.read_upto >= marks.join
        assert marks.read & 1 == 0
    return wrong


def test_random_lives_agree_with_plain_sets() -> None:
    assert sum(differences(seed, 300) for seed in range(40)) == 0


def _lost_unread(marks: Marks, state: As, chosen: int) -> Marks:
    return marks if state == "unread" else _mark_bits(marks, state, chosen)


def _off_by_one(marks: Marks, state: As, upto: int) -> Marks:
    return _mark_upto(marks, state, upto - 1)


def _forgets_hidden(mask: Mask, marks: Marks) -> int:
    return badge.shift(mask.live, marks.read_upto - mask.base) & ~marks.read


_mark_bits, _mark_upto = badge.mark_bits, badge.mark_upto


@pytest.mark.parametrize(
    ("name", "broken"),
    [("mark_bits", _lost_unread), ("mark_upto", _off_by_one), ("unread_bits", _forgets_hidden)],
)
def test_the_oracle_notices_a_broken_rule(
    name: str, broken: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(badge, name, broken)
    monkeypatch.setitem(globals(), name, broken)
    assert sum(differences(seed, 300) for seed in range(10)) > 10


def mask_of(*categories: str) -> Mask:
    mask = Mask(EMPTY)
    for seq, category in enumerate(categories, start=1):
        mask.add(seq, category, None, seq)
    return mask


def counts(mask: Mask, marks: Marks, *muted: str) -> tuple[int, int]:
    return count(mask, marks, frozenset(muted), {})


def test_a_new_follower_owes_nothing_but_the_backfill() -> None:
    mask = mask_of("a", "a", "a", "a")
    assert counts(mask, joined(None, top=4, backfill=0)) == (0, 0)
    assert counts(mask, joined(None, top=4, backfill=3)) == (3, 3)
    assert counts(mask, joined(None, top=4, backfill=99)) == (4, 4)


def test_following_again_keeps_what_was_read() -> None:
    marks = mark(joined(None, top=0, backfill=0), "read", [1])
    assert joined(marks, top=5, backfill=5) is marks


def test_mark_all_with_an_old_cursor_leaves_what_came_later_unread() -> None:
    mask = mask_of("a", "a", "a")
    marks = mark_upto(UNMARKED, "read", 2)
    assert counts(mask, marks) == (1, 1)
    assert mark_upto(marks, "read", 1) is marks


def test_marking_twice_and_marking_what_is_dead_changes_no_number() -> None:
    mask = mask_of("a", "a")
    once = mark(UNMARKED, "read", [2])
    mask.kill([1], 9)
    assert mark(once, "read", [2, 1]) == mark(mark(once, "read", [1]), "read", [2])
    assert counts(mask, mark(once, "read", [1])) == (0, 0)


def test_unread_again_below_the_watermark() -> None:
    mask = mask_of("a", "b", "a")
    marks = mark(mark_upto(UNMARKED, "read", 3), "unread", [2])
    by_category: dict[str, int] = {}
    assert count(mask, marks, frozenset(), by_category) == (1, 1)
    assert by_category == {"b": 1}
    assert (badge.is_read(marks, 1), badge.is_read(marks, 2), badge.is_read(marks, 3)) == (
        True,
        False,
        True,
    )


def test_archived_leaves_unread_and_comes_back_as_it_was() -> None:
    mask = mask_of("a", "a")
    marks = mark(UNMARKED, "archived", [1])
    assert counts(mask, marks) == (1, 1)
    assert badge.is_archived(marks, 1)
    assert counts(mask, mark(marks, "unarchived", [1])) == (2, 2)


def test_seen_is_a_watermark() -> None:
    mask = mask_of("a", "a", "a")
    assert counts(mask, mark(UNMARKED, "seen", [2])) == (3, 1)
    assert mark(mark(UNMARKED, "seen", [2]), "seen", [1]).seen_upto == 2


def test_muting_takes_out_and_unmuting_brings_back() -> None:
    mask = mask_of("a", "b", "b")
    assert counts(mask, UNMARKED, "b") == (1, 1)
    assert counts(mask, UNMARKED) == (3, 3)


def test_a_mask_knows_what_expires_next() -> None:
    mask = Mask(EMPTY)
    mask.add(1, "a", 500, 1)
    mask.add(2, "a", 300, 2)
    assert mask.due_ms == 300
    mask.kill([2], 3)
    assert (mask.due_ms, mask.rev) == (500, 3)
    mask.kill([1], 4)
    assert (mask.due_ms, mask.live, mask.categories) == (0, 0, {})


def test_seqs_and_bits_are_the_same_set() -> None:
    assert badge.seqs_of(badge.bits_of([3, 7, 70], 2), 2) == [3, 7, 70]
    assert badge.bits_of([1, 2], 2) == 0
    assert badge.shift(badge.shift(0b1011, -3), 3) == 0b1011


def snoozed(*seqs: int, until_ms: int = 10) -> Marks:
    """Of five notifications, none of them read."""
    return badge.snooze(UNMARKED, [Snoozed(seq, 100 + seq, until_ms) for seq in seqs])


def test_what_is_snoozed_holds_no_watermark_back() -> None:
    marks = mark(snoozed(1, 3), "read", [2])
    assert (marks.read_upto, marks.read) == (3, 0)
    assert [badge.is_read_now(marks, seq) for seq in (1, 2, 3)] == [False, True, False]


@pytest.mark.parametrize("state", ["read", "unread", "archived", "deleted"])
def test_what_is_snoozed_was_not_on_the_list(state: As) -> None:
    for marks in (
        mark_upto(snoozed(2), state, 3),
        badge.mark_listed(snoozed(2), state, [1, 2, 3]),
    ):
        assert badge.snoozed_until(marks, 2) == 10
        assert badge.is_shown(marks, 2, "snoozed")
        assert not badge.is_shown(marks, 2, "all")


def test_archiving_and_deleting_end_a_snooze_and_so_does_what_is_not_kept() -> None:
    assert mark(snoozed(2, 4), "archived", [2]).snoozed == (Snoozed(4, 104, 10),)
    assert mark(snoozed(2, 4), "deleted", [4]).snoozed == (Snoozed(2, 102, 10),)
    assert mark(snoozed(2, 4), "unread", [2, 4]) == snoozed(2, 4)
    assert raised(snoozed(2, 4), 2).snoozed == (Snoozed(4, 104, 10),)


def test_what_is_snoozed_again_has_the_later_wish_and_comes_out_of_the_archive() -> None:
    archived = mark(UNMARKED, "archived", [2])
    marks = badge.snooze(archived, [Snoozed(2, 102, 10)])
    assert not badge.is_archived(marks, 2)
    marks = badge.snooze(marks, [Snoozed(2, 102, 5)])
    assert badge.wake_ms([UNMARKED, marks]) == 5
    assert badge.due({"a": marks, "b": UNMARKED}, 4) == {}
    assert badge.due({"a": marks, "b": UNMARKED}, 5) == {"a": [Snoozed(2, 102, 5)]}
    assert badge.wake_ms([UNMARKED]) == 0
