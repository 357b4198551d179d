"""Who may use the console: links good once, guesses that are counted, sessions that end."""

from __future__ import annotations

import pytest

from reddot.core.console import ENDED_MAX, LINKS_MAX, ConsoleAccess, ConsoleLimits
from reddot.core.tokens import issue_token
from reddot.errors import ReddotError
from reddot.model import Actor
from reddot.testing import FakeClock, SeededEntropy

LIMITS = ConsoleLimits(console_setup_s=900, console_session_s=3600, console_attempts_per_min=3)
OPERATOR = Actor(admin=True)
SERVER = Actor(service=True, key="rk_test")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def access(clock: FakeClock) -> ConsoleAccess:
    return ConsoleAccess(clock=clock, entropy=SeededEntropy(), limits=LIMITS)


def refused(code: str, action: object, *values: object) -> None:
    assert callable(action)
    with pytest.raises(ReddotError) as caught:
        action(*values)
    assert caught.value.code == code


def test_a_link_is_good_once(access: ConsoleAccess) -> None:
    link = access.make_link()
    assert access.redeem_link(link) == OPERATOR
    refused("unauthorized", access.redeem_link, link)


def test_a_link_is_good_for_its_time(access: ConsoleAccess, clock: FakeClock) -> None:
    early, late = access.make_link(), access.make_link()
    clock.advance(LIMITS.console_setup_s - 1)
    assert access.redeem_link(early) == OPERATOR
    clock.advance(1)
    refused("unauthorized", access.redeem_link, late)


@pytest.mark.parametrize("secret", ["", "x", "\udc80", "é", "x" * 100_000])
def test_what_is_no_link_is_refused(access: ConsoleAccess, secret: str) -> None:
    refused("unauthorized", access.redeem_link, secret)


def test_links_are_bounded(access: ConsoleAccess) -> None:
    for _ in range(LINKS_MAX):
        access.make_link()
    refused("overloaded", access.make_link)


def test_failures_are_counted_by_the_minute(access: ConsoleAccess, clock: FakeClock) -> None:
    for _ in range(LIMITS.console_attempts_per_min):
        access.check_attempts()
        access.note_failure()
    refused("rate_limited", access.check_attempts)
    clock.advance(59)
    refused("rate_limited", access.check_attempts)
    clock.advance(1)
    access.check_attempts()


def test_a_session_is_its_actors_and_lasts_its_time(
    access: ConsoleAccess, clock: FakeClock
) -> None:
    token, lifetime_s = access.open(OPERATOR)
    assert lifetime_s == LIMITS.console_session_s
    assert access.actor(token).admin
    clock.advance(lifetime_s)
    refused("token_expired", access.actor, token)


def test_a_session_never_outlives_what_it_was_opened_with(
    access: ConsoleAccess, clock: FakeClock
) -> None:
    _, lifetime_s = access.open(Actor(admin=True, expires_ms=clock.wall_ms() + 90_000))
    assert lifetime_s == 90


def test_a_servers_key_does_not_become_an_administrator(access: ConsoleAccess) -> None:
    actor = access.actor(access.open(SERVER)[0])
    assert (actor.admin, actor.service, actor.key) == (False, True, "rk_test")


def test_a_session_that_was_ended_stays_ended_and_others_go_on(access: ConsoleAccess) -> None:
    one, other = access.open(OPERATOR)[0], access.open(OPERATOR)[0]
    assert one != other
    access.end(one)
    refused("unauthorized", access.actor, one)
    refused("unauthorized", access.end, one)
    assert access.actor(other).admin


def test_what_was_ended_is_bounded(access: ConsoleAccess) -> None:
    ended = access._ended
    ended.update((bytes([1, *n.to_bytes(4, "big")]), None) for n in range(ENDED_MAX))
    token, _ = access.open(OPERATOR)
    access.end(token)
    assert len(ended) == ENDED_MAX
    refused("unauthorized", access.actor, token)


def test_tokens_of_others_open_no_session(access: ConsoleAccess, clock: FakeClock) -> None:
    other = ConsoleAccess(clock=clock, entropy=SeededEntropy(1), limits=LIMITS)
    foreign = issue_token(
        "another-secret-of-thirty-two-bytes!!", user=None, admin=True, lifetime_s=60, clock=clock
    )
    for token in (other.open(OPERATOR)[0], foreign, "", "a.b.c", "\udc80"):
        refused("unauthorized", access.actor, token)
