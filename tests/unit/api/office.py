"""An office for tests: a whole node with a courier that answers as told, and an operator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.sim.post import ScriptedCourier
from tests.wire.node import WireNode, run_node
from tests.wire.people import Someone

MAIL = [{"couriers": [{"courier": "mail", "after": 10}]}]


class Office:
    """A node with one scripted courier, `mail`, and an operator."""

    def __init__(self, node: WireNode, mail: ScriptedCourier) -> None:
        self.node = node
        self.mail = mail
        self.operator = Someone(node, None)

    async def ask(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        answer = await self.operator.ask(method, path, body)
        assert answer.status == status, answer
        return answer.json if answer.body else None

    async def address(self, *users: str) -> None:
        for user in users:
            await self.ask("PUT", f"/v1/users/{user}/addresses/mail", f"{user}@example.com")

    async def attributes(self, **people: Mapping[str, object]) -> None:
        for user, known in people.items():
            await self.ask("PUT", f"/v1/users/{user}/attributes", known)

    async def journey(self, id: str) -> dict[str, str]:
        found = await self.ask("GET", f"/v1/notifications/{id}/deliveries")
        return {one["user"]: f"{one['state']} {one['reason']}" for one in found["items"]}


def run(test: Callable[[Office], Awaitable[None]], **settings: Any) -> None:
    mail = ScriptedCourier()
    couriers = {"mail": mail} | settings.pop("couriers", {})

    async def main(node: WireNode) -> None:
        await test(Office(node, mail))

    run_node(main, couriers=couriers, **({"deliveries": MAIL} | settings))


async def add_people(office: Office, count: int = 6) -> None:
    known = {f"p{n}": {"plan": "pro" if n % 2 else "free"} for n in range(count)}
    await office.attributes(**known)
    await office.address(*known)
