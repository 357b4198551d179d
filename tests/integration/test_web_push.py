"""Web Push through a push service in Node, which decrypts and verifies with code of its own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import pytest

from reddot.couriers.vapid import Vapid, VapidKey
from reddot.couriers.web_push import WebPush
from reddot.delivery import Message, Outcome, Parcel, Verdict
from reddot.net.outbound import Guard, Outbound
from reddot.system import SystemClock

SERVICE: Final = Path(__file__).parents[1] / "node" / "push_service.mjs"
KEY: Final = VapidKey.make()
LONG: Final = Message(
    id="n1", title="磁盘 é", body="é👋" * 3000, url="/inbox/1", collapse_key="a b"
)
WANTED: Final = {
    201: (Verdict.SENT, "http_201", 1),
    404: (Verdict.GONE, "http_404", 1),
    410: (Verdict.GONE, "http_410", 1),
    413: (Verdict.FAILED, "http_413", 2),
    429: (Verdict.RETRY, "http_429", 1),
    500: (Verdict.RETRY, "http_500", 1),
    503: (Verdict.RETRY, "http_503", 1),
}

pytestmark = pytest.mark.service


async def deliver(url: str, keys: dict[str, str], status: int) -> Outcome:
    clock = SystemClock()
    courier = WebPush(
        outbound=Outbound(Guard(["127.0.0.1"])),
        vapid=Vapid(KEY, subject="mailto:ops@example.com", clock=clock),
        clock=clock,
    )
    address = courier.check({"endpoint": f"{url}{status}", "keys": keys})
    outcome = await courier.send(
        Parcel(id="d1", user="42", address=address, message=LONG, unread=9)
    )
    await courier.aclose()
    return outcome


def test_a_push_service_reads_what_is_sent_and_its_answers_are_understood() -> None:
    async def scenario() -> None:
        service = await asyncio.create_subprocess_exec(
            "node", str(SERVICE), stdout=asyncio.subprocess.PIPE
        )
        assert service.stdout is not None

        async def line() -> dict[str, Any]:
            assert service.stdout is not None
            told: dict[str, Any] = json.loads(await service.stdout.readline())
            return told

        try:
            browser = await line()
            for status, (verdict, reason, requests) in WANTED.items():
                outcome = await deliver(browser["url"], browser["keys"], status)
                told = [await line() for _ in range(requests)]
                assert (outcome.verdict, outcome.reason) == (verdict, reason), told
                assert outcome.retry_after_s == (17 if status == 429 else None)
                assert [one.get("error") for one in told] == [None] * requests
                for one in told:
                    assert one["key"] == KEY.public
                    assert one["payload"]["delivery"] == "d1"
                    assert one["payload"]["unread"] == 9
                    assert LONG.body.startswith(one["payload"]["body"].removesuffix("…"))
                assert told[0]["length"] > 4080
                assert told[-1]["length"] < (4097 if requests == 1 else 2104)
        finally:
            service.terminate()
            await service.wait()

    asyncio.run(asyncio.wait_for(scenario(), 50))
