"""Every normative statement of MQTT 5.0 has a test, or a reason why it has none."""

from __future__ import annotations

from tests.conformance.live.table import NOT_SHOWN, STATEMENTS, all_tests, shown


def test_there_are_as_many_statements_as_the_standard_has() -> None:
    assert len(STATEMENTS) == len(set(STATEMENTS)) == 251


def test_every_statement_has_a_test_or_a_reason() -> None:
    found = shown()
    assert [
        number for number in STATEMENTS if number not in found and number not in NOT_SHOWN
    ] == []


def test_no_statement_has_both() -> None:
    assert shown().keys() & NOT_SHOWN.keys() == set()


def test_no_number_is_made_up() -> None:
    """Those of 3.1.1 begin with `MQTT311-`."""
    named = {number for number in [*shown(), *NOT_SHOWN] if not number.startswith("MQTT311-")}
    assert named - set(STATEMENTS) == set()


def test_every_test_that_is_named_exists() -> None:
    named = {test.partition("[")[0] for found in shown().values() for test in found}
    assert named - all_tests() == set()


def test_a_statement_without_a_test_would_be_noticed() -> None:
    found = shown()
    assert "MQTT-3.1.2-4" in found
    assert "MQTT-3.1.2-99" not in found
    assert all(NOT_SHOWN.values())
