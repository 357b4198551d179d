"""Packets that a server must refuse, by the number of the statement that says so.

Pure bytes, so that the codec and a live server are asked the same. Names begin with the number of a
normative statement, or of the section, of MQTT 5.0 or 3.1.1. Values: the bytes that follow an
accepted CONNECT, or stand in its place, and for 5.0 the reason code of the answer.
"""

from __future__ import annotations

from typing import Final


def connect(flags: int, payload: bytes, properties: bytes = b"\x00", level: int = 5) -> bytes:
    start = b"\x00\x04MQTT" + bytes((level, flags)) + b"\x00\x0a"
    body = start + (properties if level == 5 else b"") + payload
    return bytes((0x10, len(body))) + body


PACKETS_5: Final[dict[str, tuple[bytes, int]]] = {
    "1.5.4-1 ill-formed UTF-8": (b"\x30\x05\x00\x02\xc3\x28\x00", 0x81),
    "1.5.4-1 a surrogate": (b"\x30\x06\x00\x03\xed\xa0\x80\x00", 0x81),
    "1.5.4-2 U+0000": (b"\x30\x04\x00\x01\x00\x00", 0x81),
    "1.5.4 a control character": (b"\x30\x04\x00\x01\x07\x00", 0x81),
    "1.5.4 a non-character": (b"\x30\x06\x00\x03\xef\xbf\xbf\x00", 0x81),
    "1.5.5-1 remaining length not minimal": (b"\xc0\x80\x00", 0x81),
    "1.5.5-1 property length not minimal": (b"\x30\x05\x00\x01t\x80\x00", 0x81),
    "2.1.4 a length of five bytes": (b"\x30\xff\xff\xff\xff\x01", 0x81),
    "2.1.3-1 flags of PINGREQ": (b"\xc1\x00", 0x81),
    "2.1.3-1 flags of PUBACK": (b"\x42\x02\x00\x01", 0x81),
    "2.1.2 packet type 0": (b"\x00\x00", 0x81),
    "2.2.1-3 PUBLISH with packet identifier 0": (b"\x32\x06\x00\x01t\x00\x00\x00", 0x81),
    "2.2.1-3 SUBSCRIBE with packet identifier 0": (b"\x82\x07\x00\x00\x00\x00\x01t\x00", 0x81),
    "2.2.2.2 an unknown property": (b"\x30\x06\x00\x01t\x02\x7f\x00", 0x81),
    "2.2.2.2 a property of another packet": (b"\x30\x09\x00\x01t\x05\x11\x00\x00\x00\x01", 0x81),
    "2.2.2.2 a property twice": (b"\x30\x08\x00\x01t\x04\x01\x01\x01\x01", 0x82),
    "3.1.0-2 a second CONNECT": (connect(2, b"\x00\x00"), 0x82),
    "3.3.1-4 QoS 3": (b"\x36\x06\x00\x01t\x00\x01\x00", 0x81),
    "3.3.1-2 DUP with QoS 0": (b"\x38\x04\x00\x01t\x00", 0x81),
    "3.3.2-1 no topic and no alias": (b"\x30\x03\x00\x00\x00", 0x82),
    "3.3.2-2 a wildcard in a topic": (b"\x30\x04\x00\x01#\x00", 0x81),
    "3.3.2.3.2 payload format 2": (b"\x30\x06\x00\x01t\x02\x01\x02", 0x82),
    "3.3.2.3.4 topic alias 0": (b"\x30\x07\x00\x01t\x03\x23\x00\x00", 0x94),
    "3.3.2-14 a wildcard in a response topic": (b"\x30\x08\x00\x01t\x04\x08\x00\x01+", 0x82),
    "3.3.4-6 a subscription identifier from a client": (b"\x30\x06\x00\x01t\x02\x0b\x01", 0x82),
    "3.4.2-1 a reason code that PUBACK has not": (b"\x40\x03\x00\x01\x92", 0x82),
    "3.6.1-1 flags of PUBREL": (b"\x60\x02\x00\x01", 0x81),
    "3.8.1-1 flags of SUBSCRIBE": (b"\x80\x07\x00\x01\x00\x00\x01t\x00", 0x81),
    "3.8.3-2 SUBSCRIBE without filter": (b"\x82\x03\x00\x01\x00", 0x82),
    "3.8.3-4 No Local on a shared subscription": (
        b"\x82\x10\x00\x01\x00\x00\x0a$share/a/b\x04",
        0x82,
    ),
    "3.8.3-5 reserved options": (b"\x82\x07\x00\x01\x00\x00\x01t\x40", 0x81),
    "3.8.3.1 subscription with QoS 3": (b"\x82\x07\x00\x01\x00\x00\x01t\x03", 0x82),
    "3.8.3.1 Retain Handling 3": (b"\x82\x07\x00\x01\x00\x00\x01t\x30", 0x82),
    "3.8.2.1.2 subscription identifier 0": (b"\x82\x09\x00\x01\x02\x0b\x00\x00\x01t\x00", 0x82),
    "3.10.1-1 flags of UNSUBSCRIBE": (b"\xa0\x06\x00\x01\x00\x00\x01t", 0x81),
    "3.10.3-2 UNSUBSCRIBE without filter": (b"\xa2\x03\x00\x01\x00", 0x82),
    "3.14.1-1 flags of DISCONNECT": (b"\xe1\x00", 0x81),
    "3.14.2-1 a reason code that DISCONNECT has not": (b"\xe0\x01\x8e", 0x82),
    "3.15.1-1 flags of AUTH": (b"\xf1\x00", 0x81),
    "3.15.2-1 a reason code that AUTH has not": (b"\xf0\x01\x80", 0x82),
    "4.7.3-1 an empty filter": (b"\x82\x06\x00\x01\x00\x00\x00\x00", 0x81),
    "4.7.3-2 U+0000 in a filter": (b"\x82\x07\x00\x01\x00\x00\x01\x00\x00", 0x81),
    "CONNACK from a client": (b"\x20\x03\x00\x00\x00", 0x82),
    "SUBACK from a client": (b"\x90\x04\x00\x01\x00\x00", 0x82),
    "UNSUBACK from a client": (b"\xb0\x04\x00\x01\x00\x00", 0x82),
    "PINGRESP from a client": (b"\xd0\x00", 0x82),
    "PINGREQ with a body": (b"\xc0\x01\x00", 0x81),
    "a topic longer than its packet": (b"\x30\x04\x00\x09ab", 0x81),
    "properties longer than their packet": (b"\x30\x05\x00\x01t\x09\x01", 0x81),
    "1.5.7-1 a user property that is not UTF-8": (
        b"\x30\x0b\x00\x01t\x07\x26\x00\x01\xff\x00\x01a",
        0x81,
    ),
    "2.2.2-1 no property length": (b"\x30\x03\x00\x01t", 0x81),
    "3.3.2-13 an ill-formed response topic": (b"\x30\x08\x00\x01t\x04\x08\x00\x01\xff", 0x81),
    "3.3.2-19 an ill-formed content type": (b"\x30\x08\x00\x01t\x04\x03\x00\x01\xff", 0x81),
    "3.5.2-1 a reason code that PUBREC has not": (b"\x50\x03\x00\x01\x92", 0x82),
    "3.6.2-1 a reason code that PUBREL has not": (b"\x62\x03\x00\x01\x10", 0x82),
    "3.7.2-1 a reason code that PUBCOMP has not": (b"\x70\x03\x00\x01\x10", 0x82),
    "3.8.3-1 an ill-formed filter": (b"\x82\x07\x00\x01\x00\x00\x01\xff\x00", 0x81),
    "3.10.3-1 an ill-formed filter": (b"\xa2\x06\x00\x01\x00\x00\x01\xff", 0x81),
    "4.12.0-5 AUTH without method": (b"\xf0\x02\x18\x00", 0x82),
    "AUTH without reason code": (b"\xf0\x00", 0x82),
}

PACKETS_311: Final[dict[str, bytes]] = {
    "1.5.3-1 ill-formed UTF-8": b"\x30\x04\x00\x02\xc3\x28",
    "1.5.3-2 U+0000": b"\x30\x03\x00\x01\x00",
    "2.2.2-1 flags of PINGREQ": b"\xc1\x00",
    "2.3.1-1 packet identifier 0": b"\x32\x05\x00\x01t\x00\x00",
    "2.2.2-2 flags of UNSUBSCRIBE": b"\xa0\x05\x00\x01\x00\x01t",
    "3.3.2-1 an ill-formed topic": b"\x30\x03\x00\x01\xff",
    "3.8.3-1 an ill-formed filter": b"\x82\x06\x00\x01\x00\x01\xff\x00",
    "3.8.3-2 a filter without quality": b"\x82\x05\x00\x01\x00\x01t",
    "3.10.1-1 flags of UNSUBSCRIBE": b"\xa1\x05\x00\x01\x00\x01t",
    "3.10.3-1 an ill-formed filter": b"\xa2\x05\x00\x01\x00\x01\xff",
    "4.7.3-2 U+0000 in a filter": b"\x82\x06\x00\x01\x00\x01\x00\x00",
    "3.3.1-4 QoS 3": b"\x36\x05\x00\x01t\x00\x01",
    "3.3.1-2 DUP with QoS 0": b"\x38\x03\x00\x01t",
    "3.3.2-2 a wildcard in a topic": b"\x30\x03\x00\x01+",
    "3.6.1-1 flags of PUBREL": b"\x60\x02\x00\x01",
    "3.8.1-1 flags of SUBSCRIBE": b"\x80\x06\x00\x01\x00\x01t\x00",
    "3.8.3-3 SUBSCRIBE without filter": b"\x82\x02\x00\x01",
    "3.8.3-4 reserved bits of the QoS": b"\x82\x06\x00\x01\x00\x01t\x04",
    "3.8.3-4 QoS 3 of a subscription": b"\x82\x06\x00\x01\x00\x01t\x03",
    "3.10.3-2 UNSUBSCRIBE without filter": b"\xa2\x02\x00\x01",
    "3.14.1-1 DISCONNECT with a body": b"\xe0\x01\x00",
    "4.7.3-1 an empty topic": b"\x30\x02\x00\x00",
    "AUTH": b"\xf0\x00",
    "PUBACK with a reason": b"\x40\x03\x00\x01\x00",
}

CONNECTS_5: Final[dict[str, tuple[bytes, int]]] = {
    "3.1.0-1 another first packet": (b"\xc0\x00", 0x82),
    "3.1.2-3 the reserved flag": (connect(0x03, b"\x00\x00"), 0x81),
    "3.1.2-11 will QoS without will": (connect(0x0A, b"\x00\x00"), 0x81),
    "3.1.2-12 will QoS 3": (connect(0x1E, b"\x00\x00\x00\x00\x01t\x00\x00"), 0x81),
    "3.1.2-13 will retain without will": (connect(0x22, b"\x00\x00"), 0x81),
    "3.1.2-16 a user name without its flag": (connect(0x02, b"\x00\x00\x00\x01u"), 0x81),
    "3.1.2-17 a flag without its user name": (connect(0x82, b"\x00\x00"), 0x81),
    "3.1.2-19 a flag without its password": (connect(0x42, b"\x00\x00"), 0x81),
    "3.1.2.11.3 receive maximum 0": (connect(2, b"\x00\x00", b"\x03\x21\x00\x00"), 0x82),
    "3.1.2.11.4 maximum packet size 0": (connect(2, b"\x00\x00", b"\x05\x27" + bytes(4)), 0x82),
    "3.1.2.11.7 request problem information 2": (connect(2, b"\x00\x00", b"\x02\x17\x02"), 0x82),
    "3.1.2.11.10 data without method": (connect(2, b"\x00\x00", b"\x04\x16\x00\x01x"), 0x82),
    "3.1.3-4 ill-formed client identifier": (connect(2, b"\x00\x01\xff"), 0x81),
    "3.1.3-11 a will topic with a wildcard": (
        connect(0x06, b"\x00\x00\x00\x00\x01#\x00\x00"),
        0x81,
    ),
    "an empty will topic": (connect(0x06, b"\x00\x00\x00\x00\x00\x00\x00"), 0x81),
    "something behind the last field": (connect(2, b"\x00\x00\x00"), 0x81),
    "nothing behind the flags": (b"\x10\x08\x00\x04MQTT\x05\x02", 0x81),
    "1.5.4-2 U+0000 in a client identifier": (connect(2, b"\x00\x01\x00"), 0x81),
    "3.1.2-9 a will flag without will": (connect(0x06, b"\x00\x00"), 0x81),
    "3.1.2-18 a password without its flag": (
        connect(0x82, b"\x00\x00\x00\x01u\x00\x01p"),
        0x81,
    ),
    "3.1.3-3 no client identifier": (connect(2, b""), 0x81),
    "3.1.3-12 an ill-formed user name": (connect(0x82, b"\x00\x00\x00\x01\xff"), 0x81),
}

CONNECTS_311: Final[dict[str, bytes]] = {
    "3.1.0-1 another first packet": b"\xc0\x00",
    "3.1.2-3 the reserved flag": connect(0x03, b"\x00\x00", level=4),
    "3.1.2-9 a will flag without will": connect(0x06, b"\x00\x00", level=4),
    "3.1.2-13 will QoS without will": connect(0x0A, b"\x00\x00", level=4),
    "3.1.2-14 will QoS 3": connect(0x1E, b"\x00\x00\x00\x01t\x00\x00", level=4),
    "3.1.2-15 will retain without will": connect(0x22, b"\x00\x00", level=4),
    "3.1.2-18 a user name without its flag": connect(0x02, b"\x00\x00\x00\x01u", level=4),
    "3.1.2-19 a flag without its user name": connect(0x82, b"\x00\x00", level=4),
    "3.1.2-20 a password without its flag": connect(0x82, b"\x00\x00\x00\x01u\x00\x01p", level=4),
    "3.1.2-21 a flag without its password": connect(0xC2, b"\x00\x00\x00\x01u", level=4),
    "3.1.2-22 a password without user name": connect(0x42, b"\x00\x00\x00\x01p", level=4),
    "3.1.3-3 no client identifier": connect(2, b"", level=4),
    "3.1.3-4 an ill-formed client identifier": connect(2, b"\x00\x01\xff", level=4),
    "3.1.3-10 an ill-formed will topic": connect(0x06, b"\x00\x00\x00\x01\xff\x00\x00", level=4),
    "3.1.3-11 an ill-formed user name": connect(0x82, b"\x00\x00\x00\x01\xff", level=4),
}
