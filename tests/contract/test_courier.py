"""What every courier promises, against a provider that answers well, badly, or never."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from reddot.delivery import Outcome, Verdict
from reddot.errors import ReddotError
from reddot.ports import Courier
from tests.contract.couriers import KINDS, Kind, Setup, parcel
from tests.contract.standin import Manner, Reply, Seen, StandIn

GUARDED = [kind for kind in KINDS if kind.guarded]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
guarded_kind = pytest.mark.parametrize("kind", GUARDED, ids=lambda kind: kind.name)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


@asynccontextmanager
async def opened(kind: Kind, setup: Setup) -> AsyncIterator[Courier]:
    courier = kind.make(setup)
    try:
        yield courier
    finally:
        await courier.aclose()


@every_kind
def test_the_id_is_the_same_at_every_attempt(kind: Kind, tmp_path: Path) -> None:
    replies = iter([Reply(500), Reply(503), Reply(200)])

    async def scenario() -> None:
        async with StandIn(lambda seen: next(replies)) as provider:
            setup = Setup(provider.url, tmp_path)
            async with opened(kind, setup) as courier:
                verdicts = []
                for attempt in (1, 2, 3):
                    one = parcel(courier, kind.address(setup), attempt=attempt)
                    verdicts.append((await courier.send(one)).verdict)
        assert verdicts == [Verdict.RETRY, Verdict.RETRY, Verdict.SENT]
        assert [kind.id_of(seen) for seen in provider.seen] == ["n1-42-push"] * 3

    run(scenario)


@every_kind
def test_what_each_status_means(kind: Kind, tmp_path: Path) -> None:
    async def scenario() -> None:
        status = 0
        async with StandIn(lambda seen: Reply(status, b"because\x1b[31m\r\nof this")) as provider:
            setup = Setup(provider.url, tmp_path)
            async with opened(kind, setup) as courier:
                one = parcel(courier, kind.address(setup))
                for status, verdict in kind.verdicts.items():
                    outcome = await courier.send(one)
                    assert outcome.verdict is verdict, (status, outcome)
                    assert outcome.unknown is (kind.doubtful and verdict is Verdict.RETRY)
                    assert outcome.reason.replace("_", "").isalnum()
                    assert len(outcome.detail) <= 200
                    assert outcome.detail.isprintable()

    run(scenario)


@guarded_kind
@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("999999999", 86_400.0), ("soon", None), ("-3", None), ("", None)],
)
def test_retry_after_is_passed_on(
    kind: Kind, header: str, seconds: float | None, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with StandIn(Reply(429, headers={"Retry-After": header})) as provider:
            setup = Setup(provider.url, tmp_path)
            async with opened(kind, setup) as courier:
                outcome = await courier.send(parcel(courier, kind.address(setup)))
        assert outcome.retry_after_s == seconds
        assert (outcome.verdict, outcome.reason) == (Verdict.RETRY, "http_429")

    run(scenario)


MANNERS: dict[Manner, set[Verdict]] = {
    "drop": {Verdict.RETRY},
    "hang": {Verdict.RETRY},
    "endless_head": {Verdict.RETRY},
    "garbage": {Verdict.RETRY},
    # The status was there and said that it was taken.
    "hang_body": {Verdict.SENT},
    "endless_body": {Verdict.SENT},
    "cut": {Verdict.SENT},
}


@every_kind
@pytest.mark.parametrize("manner", MANNERS)
def test_a_provider_that_misbehaves_costs_bounded_time_and_size(
    kind: Kind, manner: Manner, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with StandIn(Reply(200, manner=manner)) as provider:
            setup = Setup(provider.url, tmp_path, timeout_s=0.6)
            async with opened(kind, setup) as courier:
                one = parcel(courier, kind.address(setup))
                begun = time.monotonic()
                outcome = await courier.send(one)
                took = time.monotonic() - begun
            # A library that reads all of an answer is cut off by its time.
            allowed = MANNERS[manner] | (set() if kind.guarded else {Verdict.RETRY})
            assert outcome.verdict in allowed
            assert outcome.unknown is (outcome.verdict is Verdict.RETRY), "it has the request"
            assert took < 5
            if kind.guarded:
                assert provider.sent_bytes < 20_000_000

    run(scenario)


@every_kind
def test_nobody_is_listening(kind: Kind, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with StandIn() as provider:
            setup = Setup(provider.url, tmp_path)
        async with opened(kind, setup) as courier:
            outcome = await courier.send(parcel(courier, kind.address(setup)))
        assert outcome.verdict is Verdict.RETRY
        assert outcome.unknown is kind.doubtful

    run(scenario)


@guarded_kind
def test_a_private_address_is_never_asked(kind: Kind, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with StandIn() as provider:
            setup = Setup(provider.url, tmp_path)
            async with opened(kind, setup) as courier:
                one = parcel(courier, kind.address(setup))
            # The list has changed since the address was registered.
            async with opened(kind, Setup(provider.url, tmp_path, allowed=())) as strict:
                outcome = await strict.send(one)
        assert outcome.verdict is Verdict.FAILED
        assert outcome.reason.startswith("address_")
        assert not outcome.blame
        assert provider.connections == 0

    run(scenario)


@guarded_kind
def test_no_redirect_is_followed(kind: Kind, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with StandIn() as target:
            reply = Reply(302, headers={"Location": target.url + "/inside"})
            async with StandIn(reply) as provider:
                setup = Setup(provider.url, tmp_path)
                async with opened(kind, setup) as courier:
                    outcome = await courier.send(parcel(courier, kind.address(setup)))
        assert outcome.verdict is Verdict.FAILED
        assert target.connections == 0

    run(scenario)


@every_kind
@pytest.mark.parametrize("status", [400, 500])
def test_no_secret_is_in_an_outcome_or_a_log(
    kind: Kind, status: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The provider sends back all that it was sent, in every way that fits."""
    caplog.set_level("DEBUG", logger="reddot")

    async def scenario() -> None:
        parts = iter(range(100))

        def echo(seen: Seen) -> Reply:
            names = [*seen.headers.values(), seen.target, seen.raw.decode("latin-1")]
            return Reply(status, names[next(parts) % len(names)].encode())

        outcomes: list[Outcome] = []
        async with StandIn(echo) as provider:
            setup = Setup(provider.url, tmp_path)
            async with opened(kind, setup) as courier:
                one = parcel(courier, kind.address(setup))
                outcomes += [await courier.send(one) for _ in range(16)]
        for secret in kind.secrets:
            assert not [one for one in outcomes if secret in one.detail + one.reason], secret
            assert secret not in caplog.text

    run(scenario)


@every_kind
def test_a_call_can_be_cancelled(kind: Kind, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with StandIn(Reply(manner="hang")) as provider:
            setup = Setup(provider.url, tmp_path, timeout_s=3)
            async with opened(kind, setup) as courier:
                sending = asyncio.ensure_future(courier.send(parcel(courier, kind.address(setup))))
                while not provider.seen:
                    await asyncio.sleep(0.01)
                sending.cancel()
                begun = time.monotonic()
                with pytest.raises(asyncio.CancelledError):
                    await sending
                assert time.monotonic() - begun < 1
                if kind.guarded:
                    while provider.open:
                        await asyncio.sleep(0.01)

    run(scenario)


@every_kind
def test_calls_overlap(kind: Kind, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with StandIn() as provider:
            setup = Setup(provider.url, tmp_path, timeout_s=20)
            async with opened(kind, setup) as courier:
                address = kind.address(setup)
                parcels = [parcel(courier, address, id=f"d{number}") for number in range(50)]
                outcomes = await asyncio.gather(*map(courier.send, parcels))
        assert {one.verdict for one in outcomes} == {Verdict.SENT}
        assert sorted(map(kind.id_of, provider.seen)) == sorted(one.id for one in parcels)

    run(scenario)


@every_kind
def test_an_address_of_other_settings_is_a_failure_and_no_exception(
    kind: Kind, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with StandIn() as provider:
            setup = Setup(provider.url, tmp_path)
            async with opened(kind, setup) as courier:
                one = parcel(courier, kind.address(setup))
                for address in (
                    b"7",
                    b'{"x":1}',
                    b'{"endpoint":"","keys":{"p256dh":"","auth":""}}',
                ):
                    outcome = await courier.send(msgspec.structs.replace(one, address=address))
                    if kind.takes_any:
                        assert outcome.verdict is Verdict.SENT
                    else:
                        assert outcome.verdict is Verdict.FAILED
                        assert outcome.reason == "address_invalid"

    run(scenario)


@every_kind
def test_a_wrong_address_is_refused_with_a_reason(kind: Kind, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(kind, Setup("http://127.0.0.1:9", tmp_path)) as courier:
            for wrong in (*kind.wrong, "\ud800", {"\udfff": 1}, ["\ud800@x.example"]):
                with pytest.raises(ReddotError) as caught:
                    courier.check(wrong)
                assert caught.value.code == "field_invalid"
                assert caught.value.detail

    run(scenario)
