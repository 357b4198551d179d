"""Tickets: once, in time, from the page they were made for, and bounded in number."""

from __future__ import annotations

import pytest

from reddot.core.tickets import Tickets
from reddot.errors import ReddotError
from reddot.model import Actor

PAGE, OTHER = "https://app.example.com", "https://evil.example"
USER = Actor(user="42")


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def wall_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic(self) -> float:
        return self.now_s


class Numbered:
    """Entropy whose secrets can be told apart."""

    def __init__(self) -> None:
        self.count = 0

    def publication_id(self) -> str:
        raise NotImplementedError

    def secret(self) -> str:
        self.count += 1
        return f"secret-{self.count}"

    def fraction(self) -> float:
        raise NotImplementedError


def make(clock: FakeClock | None = None, **options: int) -> Tickets:
    return Tickets(clock=clock or FakeClock(), entropy=Numbered(), **options)


def refusal(tickets: Tickets, ticket: str, origin: str | None) -> str:
    with pytest.raises(ReddotError) as caught:
        tickets.redeem(ticket, origin)
    return caught.value.code


def test_a_ticket_is_good_for_its_page() -> None:
    tickets = make()
    assert tickets.redeem(tickets.issue(USER, PAGE), PAGE) == (USER, PAGE)


def test_a_navigation_has_no_origin_and_learns_the_bound_one() -> None:
    tickets = make()
    assert tickets.redeem(tickets.issue(USER, PAGE), None) == (USER, PAGE)


def test_a_ticket_made_without_origin_is_for_requests_without() -> None:
    tickets = make()
    assert tickets.redeem(tickets.issue(USER, None), None) == (USER, None)
    assert refusal(tickets, tickets.issue(USER, None), PAGE) == "unauthorized"


def test_a_ticket_is_used_once() -> None:
    tickets = make()
    ticket = tickets.issue(USER, PAGE)
    tickets.redeem(ticket, PAGE)
    assert refusal(tickets, ticket, PAGE) == "unauthorized"


@pytest.mark.parametrize("origin", [OTHER, "null", "", PAGE + ":443", PAGE.upper(), PAGE + "/"])
def test_another_origin_uses_it_up(origin: str) -> None:
    tickets = make()
    ticket = tickets.issue(USER, PAGE)
    assert refusal(tickets, ticket, origin) == "unauthorized"
    assert refusal(tickets, ticket, PAGE) == "unauthorized"


def test_a_ticket_lives_30_seconds() -> None:
    clock = FakeClock()
    tickets = make(clock)
    early, late = tickets.issue(USER, PAGE), tickets.issue(USER, PAGE)
    clock.now_s += 29.9
    assert tickets.redeem(early, PAGE)[0] == USER
    clock.now_s += 0.1
    assert refusal(tickets, late, PAGE) == "unauthorized"


def test_a_ticket_does_not_outlive_the_credential() -> None:
    clock = FakeClock()
    tickets = make(clock)
    ticket = tickets.issue(Actor(user="42", expires_ms=1_010_000), PAGE)
    clock.now_s += 10
    assert refusal(tickets, ticket, PAGE) == "token_expired"


@pytest.mark.parametrize("ticket", ["", "secret-2", "é", "\ud800", "x" * 129, "secret-1 "])
def test_other_texts_are_no_tickets(ticket: str) -> None:
    tickets = make()
    tickets.issue(USER, PAGE)
    assert refusal(tickets, ticket, PAGE) == "unauthorized"


def test_there_is_a_limit_and_room_again_after_30_seconds() -> None:
    clock = FakeClock()
    tickets = make(clock, tickets_max=2)
    first = tickets.issue(USER, PAGE)
    clock.now_s += 10
    tickets.issue(USER, PAGE)
    with pytest.raises(ReddotError) as caught:
        tickets.issue(USER, PAGE)
    assert caught.value.code == "overloaded"
    tickets.redeem(first, PAGE)
    tickets.issue(USER, PAGE)
    clock.now_s += 30
    tickets.issue(USER, PAGE)
    assert len(tickets) == 1


def test_expired_tickets_are_dropped_by_whoever_comes_next() -> None:
    clock = FakeClock()
    tickets = make(clock)
    for _ in range(10):
        tickets.issue(USER, PAGE)
    clock.now_s += 30
    refusal(tickets, "nothing", None)
    assert len(tickets) == 0


def test_no_ticket_is_kept() -> None:
    tickets = make()
    ticket = tickets.issue(USER, PAGE)
    assert ticket not in repr(vars(tickets))
