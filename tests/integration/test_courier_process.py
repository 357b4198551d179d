"""Couriers send in a process of their own: what it does, and what its ends mean."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from reddot import courier_process
from reddot.counters import Counters
from reddot.courier_opening import for_another_process, open_couriers, vapid_public_key
from reddot.courier_process import CourierProcess
from reddot.delivery import Verdict
from reddot.system import SystemClock
from reddot.testing import dev_settings
from tests.contract.couriers import BROWSER, WHSEC, parcel
from tests.contract.standin import Reply, Seen, StandIn

HOOK: dict[str, object] = {"type": "webhook", "keys": [WHSEC]}
PUSH: dict[str, object] = {"type": "web_push", "subject": "mailto:ops@example.com"}


BUSY: Final = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"


class Setup:
    """A process of couriers, as a node has it."""

    def __init__(self, **couriers: object) -> None:
        self.settings = dev_settings(couriers=couriers, outbound_allowed=["127.0.0.1"])
        self.near = open_couriers(self.settings, clock=SystemClock())
        self.counters = Counters()
        self.process = CourierProcess(
            self.settings, self.near, clock=SystemClock(), counters=self.counters
        )

    async def pid(self) -> int:
        """Once it has been started."""
        while self.process.pid is None:
            await asyncio.sleep(0.01)
        return self.process.pid


def run(scenario: Callable[[Setup], Awaitable[None]], **couriers: object) -> None:
    async def bounded() -> None:
        setup = Setup(**(couriers or {"hook": HOOK}))
        try:
            async with asyncio.timeout(50):
                await scenario(setup)
        finally:
            await setup.process.aclose()
            for courier in setup.near.values():
                await courier.aclose()

    asyncio.run(bounded())


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def policies(pid: int) -> list[int]:
    """What the scheduler thinks of its threads; the first one is the main thread."""
    found = []
    for thread in sorted(map(int, os.listdir(f"/proc/{pid}/task"))):
        with suppress(ProcessLookupError):  # It has ended meanwhile.
            found.append(os.sched_getscheduler(thread))
    return found


async def gives_way(pid: int, *, others: int) -> None:
    """One of its threads gives way to everybody: now, or when the machine is less busy again."""
    while (found := policies(pid)).count(os.SCHED_IDLE) != 1 or len(found) < others + 1:
        await asyncio.sleep(0.05)
    assert found[0] == os.SCHED_OTHER


async def is_gone(pid: int) -> None:
    while is_alive(pid):
        await asyncio.sleep(0.01)


def test_parcels_go_out_from_there_with_less_priority_and_outcomes_come_back() -> None:
    async def scenario(setup: Setup) -> None:
        def answer(seen: Seen) -> Reply:
            return Reply(503 if b'"user":"7"' in seen.body else 204)

        async with StandIn(answer) as server:
            courier = setup.process.couriers["hook"]
            assert setup.process.pid is None
            parcels = [parcel(courier, server.url, id=f"p{n}", user=f"{n}") for n in range(20)]
            outcomes = await asyncio.gather(*map(courier.send, parcels))
            reasons = [one.reason for one in outcomes]
            assert reasons == ["http_204"] * 7 + ["http_503"] + ["http_204"] * 12
            assert {seen.headers["webhook-id"] for seen in server.seen} == {
                f"p{n}" for n in range(20)
            }
        pid = await setup.pid()
        assert pid != os.getpid()
        assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) + 10
        await gives_way(pid, others=1)
        for number in (signal.SIGINT, signal.SIGTERM):  # As a terminal or a supervisor sends them.
            os.kill(pid, number)
        assert (await courier.send(parcels[0])).reason == "unreachable"
        await setup.process.aclose()
        assert not is_alive(pid)
        late = await courier.send(parcels[0])
        assert (late.verdict, late.reason) == (Verdict.RETRY, "courier_failed")
        assert not late.unknown, "it was not handed to anybody"
        assert setup.counters.courier_restarts == 0

    run(scenario)


def test_beside_somebody_who_never_sleeps_it_stops_giving_way() -> None:
    async def scenario(setup: Setup) -> None:
        async with StandIn() as server:
            courier = setup.process.couriers["hook"]

            async def send_some() -> None:
                some = [courier.send(parcel(courier, server.url)) for _ in range(8)]
                outcomes = await asyncio.gather(*some)
                assert {one.verdict for one in outcomes} == {Verdict.SENT}

            await send_some()
            pid, core = await setup.pid(), min(os.sched_getaffinity(0))
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(thread), {core})
            busy = await asyncio.create_subprocess_exec(sys.executable, "-c", BUSY, str(core))
            try:
                while os.SCHED_IDLE in policies(pid):
                    await send_some()
                await send_some()
            finally:
                busy.kill()
                await busy.wait()

    run(scenario)


def test_threads_of_a_library_do_not_give_way_to_everybody() -> None:
    """They could not be helped if they got nothing."""

    async def scenario(setup: Setup) -> None:
        courier = setup.process.couriers["mail"]
        outcome = await courier.send(parcel(courier, "anna"))
        assert outcome.reason == "not_sent"
        await gives_way(await setup.pid(), others=1 + 3)

    run(scenario, mail={"type": "apprise", "url": "json://127.0.0.1:9/{address}", "threads": 3})


def test_what_it_had_in_hand_when_it_was_killed_fails_and_it_is_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(courier_process, "RESTART_S", 0.1)

    async def scenario(setup: Setup) -> None:
        async with StandIn(Reply(204, manner="hang")) as server:
            courier = setup.process.couriers["hook"]
            hanging = asyncio.gather(
                *(courier.send(parcel(courier, server.url)) for _ in range(3)),
                return_exceptions=True,
            )
            while len(server.seen) < 3:
                await asyncio.sleep(0.01)
            os.kill(await setup.pid(), signal.SIGKILL)
            assert [type(one) for one in await hanging] == [ConnectionError] * 3
        async with StandIn() as server:
            again = await asyncio.gather(
                *(courier.send(parcel(courier, server.url)) for _ in range(3))
            )
            assert {one.verdict for one in again} == {Verdict.SENT}
        assert setup.counters.courier_restarts == 1

    run(scenario)


def test_it_has_the_key_for_push_services_that_the_node_tells_browsers() -> None:
    """Also one that is kept nowhere, as with a store in memory."""

    async def scenario(setup: Setup) -> None:
        async with StandIn(Reply(201)) as server:
            courier = setup.process.couriers["push"]
            subscription = BROWSER.subscription(server.url)
            assert (await courier.send(parcel(courier, subscription))).verdict is Verdict.SENT
        assert f"k={vapid_public_key(setup.near)}" in server.seen[0].headers["authorization"]

    run(scenario, push=PUSH)


def test_it_is_not_told_the_secrets_that_make_somebody_an_administrator() -> None:
    setup = Setup(push=PUSH, hook=HOOK)
    setup.settings = setup.settings.model_copy(
        update={"jwt_secret": "canary-" * 8, "api_key": ("canary-key",)}
    )
    data = pickle.dumps(for_another_process(setup.settings, setup.near))
    assert b"canary" not in data
    assert WHSEC.encode() in data


def test_who_does_not_wait_any_more_stops_nobody() -> None:
    async def scenario(setup: Setup) -> None:
        async with StandIn(Reply(204, manner="hang")) as server:
            courier = setup.process.couriers["hook"]
            sending = asyncio.create_task(courier.send(parcel(courier, server.url)))
            while not server.seen:
                await asyncio.sleep(0.01)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        # The outcome of the first comes meanwhile, and is nobody's.
        async with StandIn() as server:
            for _ in range(3):
                assert (await courier.send(parcel(courier, server.url))).verdict is Verdict.SENT

    run(scenario)


PROGRAM = """
import asyncio, sys
from tests.contract.couriers import parcel
from tests.integration.test_courier_process import HOOK, Setup

async def main():
    setup = Setup(hook=HOOK)
    courier = setup.process.couriers["hook"]
    sending = asyncio.create_task(courier.send(parcel(courier, sys.argv[1])))
    print(await setup.pid(), flush=True)
    await sending

asyncio.run(main())
"""


def test_it_ends_with_a_node_that_is_killed() -> None:
    async def scenario() -> None:
        async with StandIn(Reply(204, manner="hang")) as server:
            node = await asyncio.to_thread(
                subprocess.Popen,
                [sys.executable, "-c", PROGRAM, server.url],
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [".", *sys.path]))},
            )
            assert node.stdout is not None
            pid = int(await asyncio.to_thread(node.stdout.readline))
            while not server.seen:
                await asyncio.sleep(0.01)
            node.kill()
            node.wait()
            node.stdout.close()
            began = time.monotonic()
            await is_gone(pid)
            assert time.monotonic() - began < 5

    async def bounded() -> None:
        async with asyncio.timeout(50):
            await scenario()

    asyncio.run(bounded())
