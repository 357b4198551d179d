"""Makes the clients of one test, with names that no other test uses, and ends them."""

from __future__ import annotations

import uuid
from typing import Any

from reddot.codecs.mqtt_packets import NO_PROPERTIES, Connect, Properties, Will
from tests.conformance.live.conversation import Conversation
from tests.conformance.live.wires import Wire
from tests.integration.server import Server


class Guests:
    """Args:
    wire: how all of them connect.
    """

    def __init__(self, server: Server, wire: Wire) -> None:
        self.server = server
        self.wire = wire
        self._own = uuid.uuid4().hex[:8]
        self._conversations: list[Conversation] = []

    def name(self, short: str) -> str:
        """A client identifier that only this test uses."""
        return f"{self._own}{short}"

    def open(self, level: int = 5) -> Conversation:
        """A connection on which nothing has been said."""
        conversation = Conversation(self.wire.connect(self.server), level)
        self._conversations.append(conversation)
        return conversation

    def asks(
        self,
        short: str = "",
        *,
        level: int = 5,
        clean: bool = True,
        keep_alive_s: int = 0,
        will: Will | None = None,
        username: str | None = None,
        password: bytes | None = None,
        **properties: Any,
    ) -> Connect:
        """A CONNECT. `short` empty: without client identifier."""
        return Connect(
            level=level,
            client_id=self.name(short) if short else "",
            clean_start=clean,
            keep_alive_s=keep_alive_s,
            username=username,
            password=password,
            will=will,
            properties=Properties(**properties) if properties else NO_PROPERTIES,
        )

    def connect(self, short: str = "", *, present: bool = False, **asked: Any) -> Conversation:
        """A client that was let in. `present`: whether it must find its session."""
        connect = self.asks(short, **asked)
        conversation = self.open(connect.level)
        connack = conversation.begin(connect)
        assert connack.reason == 0, connack
        assert connack.session_present == present
        return conversation

    def close(self) -> None:
        for conversation in self._conversations:
            conversation.drop()
