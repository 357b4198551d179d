"""Sessions: clean start, expiry, takeover (MQTT 5.0 sections 3.1.2.4, 3.1.2.11.2, 3.1.4, 4.1)."""

from __future__ import annotations

from tests.conformance.guests import Guests
from tests.conformance.statements import states

HOUR_S = 3600


@states("MQTT-3.1.2-4", "MQTT-3.1.4-4", "MQTT-3.2.2-2")
def test_clean_start_begins_anew(guests: Guests, topic: str) -> None:
    first = guests.connect("a", session_expiry_s=HOUR_S)
    first.subscribe(topic, qos=1)
    first.leave()
    second = guests.connect("a", clean=True, present=False, session_expiry_s=HOUR_S)
    guests.connect().publish(topic, b"1")
    second.quiet()
