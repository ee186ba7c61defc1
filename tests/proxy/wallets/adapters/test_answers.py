"""What an account's answer says before any provider's own form matters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.money import EXACT_MAX
from proxy.wallets.adapters.answers import (
    PAUSE_MS_MAX,
    NotAReport,
    at_ms,
    data_of,
    decimal,
    header,
    nano,
    nano_above_zero,
    pause_ms,
    read_report,
    truth,
    word,
)
from proxy.wallets.quota import Report, SlowDown, Unavailable, Unreadable

HTML = b"<!doctype html><title>502 Bad Gateway</title>"


def _anything(answer: Mapping[str, object]) -> Report:
    return Report()


def _amount(answer: Mapping[str, object]) -> Report:
    nano(answer.get("amount"), "amount")
    return Report()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_is_not_there_for_us_is_unavailable(status: int) -> None:
    assert isinstance(read_report(status, {}, b"{}", _anything), Unavailable)


@pytest.mark.parametrize("status", [204, 302, 400, 402, 422, 500, 503, 520])
def test_any_other_status_cannot_be_read(status: int) -> None:
    assert isinstance(read_report(status, {}, b"{}", _anything), Unreadable)


def test_a_provider_says_by_its_own_statuses_that_it_wants_fewer_requests() -> None:
    slow = frozenset({422, 429})

    assert read_report(422, {}, HTML, _anything, slow=slow) == SlowDown(None)
    assert read_report(429, {"Retry-After": "60"}, b"", _anything) == SlowDown(60_000)


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        b"",
        b"\xff\xfe\x00",
        b"[]",
        b'"text"',
        b"null",
        b"12",
        b'{"amount": NaN}',
        b'{"amount": -Infinity}',
        b'{"amount": 1e999999999999999999999}',
        b'{"amount": 1e99999}',
        b'{"amount": 1e30}',
        b'{"amount": ' + b"9" * 5_000 + b"}",
        b'{"amount": ' + b"9" * 100 + b"}",
        b'{"amount": true}',
        b'{"amount": null}',
        b'{"amount": {}}',
        b'{"amount": "NaN"}',
        b'{"amount": "1_000"}',
        b'{"amount": " 1"}',
        '{"amount": "\u0661"}'.encode(),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"amount": "' + b"1" * 1_000_000 + b'"}',
    ],
)
def test_what_makes_no_sense_is_unreadable_and_nothing_worse(body: bytes) -> None:
    reading = read_report(200, {}, body, _amount)

    assert isinstance(reading, Unreadable)
    assert 0 < len(reading.reason) < 200


@given(st.binary())
def test_no_bytes_raise(body: bytes) -> None:
    read_report(200, {}, body, _amount)


def test_amounts_are_exact_and_never_more_than_was_said() -> None:
    assert nano(Decimal("742.8"), "x") == 742_800_000_000
    assert nano("95.50", "x") == 95_500_000_000
    assert nano(Decimal("6e-7"), "x") == 600
    assert nano(Decimal("0.9999999999"), "x") == 999_999_999
    assert nano(Decimal("-0.0000000001"), "x") == -1
    assert nano(0, "x") == 0
    assert nano("-0.0", "x") == 0


@given(st.decimals(min_value=-9_000_000, max_value=9_000_000, allow_nan=False, places=12))
def test_an_amount_is_the_largest_whole_one_below(amount: Decimal) -> None:
    found = nano(amount, "x")

    assert found <= amount * 10**9 < found + 1


def test_what_cannot_be_counted_exactly_is_refused() -> None:
    assert nano(EXACT_MAX // 10**9, "x") == EXACT_MAX // 10**9 * 10**9
    for much in (10**7, Decimal("1e9999"), "9007199.2547409921"):
        with pytest.raises(NotAReport, match="more than can be counted"):
            nano(much, "x")
    with pytest.raises(NotAReport, match="is negative"):
        nano_above_zero(Decimal("-0.5"), "x")


def test_a_float_or_a_truth_is_no_number() -> None:
    no_numbers: list[object] = [True, 0.5, [], None]
    no_truths: list[object] = [1, "true", None]

    for value in no_numbers:
        with pytest.raises(NotAReport, match="is not a number"):
            decimal(value, "x")
    for value in no_truths:
        with pytest.raises(NotAReport, match="neither true nor false"):
            truth(value, "x")


def test_a_value_that_cannot_even_be_shown_is_refused_like_any_other() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(NotAReport, match="cannot be shown is not a number"):
        decimal(deep, "x")


def test_an_envelope_is_taken_off_where_there_is_one() -> None:
    assert data_of({"success": True, "data": {"a": 1}}) == {"a": 1}
    assert data_of({"a": 1}) == {"a": 1}
    failed: dict[str, object] = {"success": False, "data": {}}
    wrongs: list[dict[str, object]] = [failed, {"success": "true"}, {"data": None}, {"data": []}]
    for wrong in wrongs:
        with pytest.raises(NotAReport):
            data_of(wrong)


def test_times_are_read_and_anything_else_is_no_time() -> None:
    assert at_ms("2026-03-24T08:35:09.000Z") == 1_774_341_309_000
    assert at_ms("2026-03-24T08:35:09") == 1_774_341_309_000
    assert at_ms("2026-03-24T10:35:09.5+02:00") == 1_774_341_309_500
    for odd in (None, 1_774_341_309, "soon", "", "0001-01-01T00:00:00+14:00", "1969-12-31"):
        assert at_ms(odd) is None
    assert at_ms("9999-12-31T23:59:59-14:00") is None


def test_a_word_is_one_and_short() -> None:
    assert word(" Suspended ", "x") == "suspended"
    assert word(None, "x") is None
    for odd in ("two words", "", "x" * 40, 1, "<b>", ["healthy"]):
        with pytest.raises(NotAReport, match="is not a word"):
            word(odd, "x")


def test_pauses_are_taken_as_seconds_or_as_a_date_by_the_providers_own_clock() -> None:
    dates = {
        "date": "Mon, 23 Nov 2026 10:00:00 GMT",
        "retry-after": "Mon, 23 Nov 2026 10:01:30 GMT",
    }

    assert pause_ms({"retry-after": "7"}) == 7_000
    assert pause_ms({"Retry-After": " 7 "}) == 7_000
    assert pause_ms(dates) == 90_000
    assert pause_ms({"retry-after": "99999999"}) == PAUSE_MS_MAX
    assert pause_ms({**dates, "date": "Mon, 23 Nov 2026 11:00:00 GMT"}) == 0
    assert pause_ms({**dates, "date": "Mon, 23 Nov 2026 10:00:00"}) is None
    for odd in ("soon", "-5", "1.5", "\u0667", ""):
        assert pause_ms({"retry-after": odd}) is None
    assert pause_ms({}) is None


def test_headers_are_found_however_they_are_spelt() -> None:
    assert header({"x-a": " 1 "}, "x-a") == "1"
    assert header({"X-A": "1"}, "x-a") == "1"
    assert header({}, "x-a") is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_no_value_raises_anything_but_a_refusal(value: object) -> None:
    body = json.dumps({"amount": value}).encode()

    read_report(200, {}, body, _amount)
    at_ms(value)
