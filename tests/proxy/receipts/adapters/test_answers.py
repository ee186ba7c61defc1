"""Status, pause and JSON of an answer to a look-up, and whose receipt it is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.receipts.adapters.answers import (
    BODY_BYTES_MAX,
    PAUSE_MS_MAX,
    check_id,
    declined,
    document,
    mapping,
    member,
    pause_ms,
    unready,
    unwrapped,
)
from proxy.receipts.adapters.figures import Unreadable
from proxy.receipts.receipt import Pending, SetAside, SlowDown, UnknownId

DATE = "Sun, 22 Nov 2026 08:00:00 GMT"
SLOW = frozenset({429})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, None),
        (404, UnknownId()),
        (400, UnknownId()),
        (429, SlowDown(None)),
        (401, SetAside("the provider refused the key (status 401): check api_key")),
        (403, SetAside("the provider refused the key (status 403): check api_key")),
        (422, Pending("the provider answered with status 422")),
        (204, Pending("the provider answered with status 204")),
        (302, Pending("the provider answered with status 302")),
        (503, Pending("the provider answered with status 503")),
    ],
)
def test_a_status_may_say_it_all(status: int, expected: object) -> None:
    assert declined(status, {}, slow=SLOW, key="api_key") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("60", 60_000),
        (" 60 ", 60_000),
        ("0", 0),
        ("1.0005", 1_001),
        ("86400", PAUSE_MS_MAX),
        ("9" * 12, PAUSE_MS_MAX),
        ("9" * 13, None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("Sun, 22 Nov 2026 08:01:30 GMT", 90_000),
        ("Sun, 22 Nov 2026 07:00:00 GMT", 0),
        ("Sun, 22 Nov 2099 07:00:00 GMT", PAUSE_MS_MAX),
        ("Sun, 22 Nov 2026 08:01:30 -0000", None),
        ("Sun, 99 Nov 2026 08:01:30 GMT", None),
    ],
)
def test_how_long_to_wait_is_seconds_or_a_date(text: str, expected: int | None) -> None:
    assert pause_ms({"Retry-After": text, "Date": DATE}) == expected


def test_a_date_means_nothing_without_the_providers_clock() -> None:
    assert pause_ms({"retry-after": DATE}) is None
    assert pause_ms({"retry-after": DATE, "date": "now"}) is None


def test_headers_are_found_in_whatever_case() -> None:
    assert pause_ms(CIMultiDict({"RETRY-AFTER": "1"})) == 1_000
    assert pause_ms({}) is None


@given(st.text(), st.text())
def test_any_pause_is_one_or_none(text: str, date: str) -> None:
    pause = pause_ms({"retry-after": text, "date": date})

    assert pause is None or 0 <= pause <= PAUSE_MS_MAX


def test_money_is_read_as_it_is_written() -> None:
    found = document(b'{"a": 0.1, "b": 6e-7, "c": 3, "d": "0.10"}')

    assert found == {"a": Decimal("0.1"), "b": Decimal("6e-7"), "c": 3, "d": "0.10"}


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e99999999999999999999"])
def test_a_number_beyond_all_numbers_spoils_nothing_beside_it(text: str) -> None:
    found = document(b'{"throughput": %s, "usage": 1}' % text.encode())

    assert found["usage"] == 1
    assert not found["throughput"].is_finite()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is not JSON: ''"),
        (b"<html>\n<h1>502</h1></html>", r"is not JSON: '<html>\\n"),
        (b'{"usage": 0.1', "is not JSON"),
        (b"\xff\xfe\xff", "is not JSON"),
        (b"[" * 500_000, "is not JSON"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "is not JSON"),
        (b"[]", r"is not an object: \(list\)"),
        (b'"text"', "is not an object: 'text'"),
        (b"0.0052", "is not an object: 0.0052"),
        (b"null", "is not an object: None"),
        (b"{" + b" " * BODY_BYTES_MAX + b"}", "1048578 bytes, which no receipt has"),
    ],
)
def test_what_is_no_object_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        document(body)


@given(st.binary())
def test_any_bytes_are_an_object_or_are_refused(body: bytes) -> None:
    try:
        found = document(body)
    except Unreadable:
        return

    assert isinstance(found, dict)


def test_data_are_unwrapped() -> None:
    assert unwrapped({"usage": 1}) == {"usage": 1}
    assert unwrapped({"success": True, "data": {"usage": 1}}) == {"usage": 1}
    assert unwrapped({"data": None}) == {}
    shapes: list[object] = [[], "text", 1, False]
    for data in shapes:
        with pytest.raises(Unreadable, match="data is not an object"):
            unwrapped({"data": data})


def test_an_object_is_an_object() -> None:
    assert mapping({"a": 1}, "it") == {"a": 1}
    with pytest.raises(Unreadable, match="it is not an object: True"):
        mapping(True, "it")


def test_older_names_are_known() -> None:
    assert member({"billAmount": 1, "bill_amount": 2}, "billAmount") == 1
    assert member({"billAmount": None, "bill_amount": 2}, "billAmount") == 2
    assert member({"fee_item_code": "prompt"}, "feeItemCode") == "prompt"
    assert member({"usage": 0}, "usage") == 0
    assert member({}, "usage") is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({}, Pending("the provider does not tell of the call yet")),
        ({"error": {"code": "404"}}, UnknownId()),
        ({"error": {"code": 404}}, UnknownId()),
        (
            {"error": {"code": "500", "message": "Later."}},
            Pending("the provider does not tell of the call yet: 'Later.'"),
        ),
        ({"message": "Wait."}, Pending("the provider does not tell of the call yet: 'Wait.'")),
        ({"message": ["Wait."]}, Pending("the provider does not tell of the call yet")),
        ({"error": "Wait."}, Pending("the provider does not tell of the call yet")),
    ],
)
def test_an_answer_without_a_receipt(answer: dict[str, Any], expected: object) -> None:
    assert unready(answer) == expected


def _is_generation_id(text: str) -> bool:
    return text.startswith("gen_")


@pytest.mark.parametrize(
    ("told", "known"),
    [
        (None, ("gen_1",)),
        ("", ("gen_1",)),
        ("gen_1", ("gen_1",)),
        # Asked for by another id of the same call.
        ("gen_1", ("request_1", "gen_1")),
        ("request_1", ("request_1", "gen_1")),
        # The answer was cut before it told its own id.
        ("gen_1", ("request_1",)),
        ("gen_1", ()),
    ],
)
def test_a_receipt_may_name_any_id_of_its_call(told: object, known: tuple[str, ...]) -> None:
    check_id(told, known, _is_generation_id)


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ("gen_2", ("gen_1",)),
        ("gen_2", ("request_1", "gen_1")),
        # Ids of requests are known, and this is none of them.
        ("request_2", ("request_1",)),
        ("GEN_1", ("gen_1",)),
        (1, ("1",)),
        (True, ("gen_1",)),
        (["gen_1"], ("gen_1",)),
        ({}, ("gen_1",)),
    ],
)
def test_another_calls_receipt_is_refused(told: object, known: tuple[str, ...]) -> None:
    with pytest.raises(Unreadable, match="the receipt names another call's id"):
        check_id(told, known, _is_generation_id)
