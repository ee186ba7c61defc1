"""Pages of a billing history: the documented ones, and whatever else comes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.money import EXACT_MAX
from proxy.receipts.history.rows import (
    BadRow,
    NotAPage,
    Numbering,
    Page,
    Row,
    plain,
    read_page,
    shown,
)
from tests.proxy.receipts.adapters.configured import JSON
from tests.proxy.receipts.history.fake_history import NOON_MS, Raw, as_csv, as_json, raw

# providers.md, 2.2.
DOCUMENTED = b"""{"data":[
 {"timestamp":"2026-06-14T19:52:45.087Z","sku":"grok-imagine-image-image-unit","units":1,
  "pricePerUnitUsd":0.1,"amount":-0.1,"currency":"DIEM","notes":"API Inference",
  "inferenceDetails":null},
 {"timestamp":"2026-06-15T19:05:10.504Z","sku":"zai-org-glm-5-1-llm-output-mtoken",
  "units":0.000227,"pricePerUnitUsd":2.8,"amount":-0.06356,"currency":"DIEM",
  "notes":"API Inference",
  "inferenceDetails":{"requestId":"chatcmpl-4007fd29f42b7d3c4107f4345e8d174a",
   "promptTokens":339,"completionTokens":227,"inferenceExecutionTime":2964}}],
 "nextCursor":"AZq3fK9tXhIVDm2j4vN8cQwYt1sB6uEoLxRgPzKaJdHfM5nC7yW0K3w"}"""


def one(**changes: Any) -> Row | BadRow:
    """Return what becomes of a row that is different in something."""
    body = as_json({"data": [{**raw(NOON_MS), **changes}], "nextCursor": None})
    (entry,) = read_page(body, "json", {}).entries
    return entry


def row(**changes: Any) -> Row:
    entry = one(**changes)
    assert isinstance(entry, Row), entry
    return entry


def bad(**changes: Any) -> BadRow:
    entry = one(**changes)
    assert isinstance(entry, BadRow), entry
    return entry


def without(name: str) -> Row | BadRow:
    changed = raw(NOON_MS)
    del changed[name]
    (entry,) = read_page(as_json({"data": [changed], "nextCursor": None}), "json", {}).entries
    return entry


def test_the_documented_page_is_read() -> None:
    page = read_page(DOCUMENTED, "json", {})

    assert page.cursor == "AZq3fK9tXhIVDm2j4vN8cQwYt1sB6uEoLxRgPzKaJdHfM5nC7yW0K3w"
    assert page.entries == (
        Row(
            at_ms=1_781_466_765_087,
            sku="grok-imagine-image-image-unit",
            units=Decimal(1),
            billed=Decimal("0.1"),
            currency="DIEM",
            notes="API Inference",
        ),
        Row(
            at_ms=1_781_550_310_504,
            sku="zai-org-glm-5-1-llm-output-mtoken",
            units=Decimal("0.000227"),
            # Not units × price, which would be a hundredth of it (trap 4).
            billed=Decimal("0.06356"),
            currency="DIEM",
            request_id="chatcmpl-4007fd29f42b7d3c4107f4345e8d174a",
            prompt_tokens=339,
            completion_tokens=227,
            notes="API Inference",
        ),
    )


def test_the_last_page_by_cursor_says_so() -> None:
    page = read_page(b'{"data":[],"nextCursor":null}', "json", {})

    assert page == Page(entries=(), tells_cursor=True)


def test_a_numbered_page_says_how_many_there_are() -> None:
    body = as_json(
        {
            "warningMessage": None,
            "data": [raw(NOON_MS)],
            "pagination": {"limit": 200, "page": 1, "total": 1000, "totalPages": 5},
        }
    )

    page = read_page(body, "json", {})

    assert page.numbering == Numbering(1000, 5)
    assert not page.tells_cursor


@pytest.mark.parametrize("pagination", [None, 7, {}, {"total": 4}, {"total": -1, "totalPages": 1}])
def test_how_many_pages_there_are_may_stand_in_headers_alone(pagination: object) -> None:
    headers = {"x-pagination-total": "12", "x-pagination-total-pages": "3"}
    body = as_json({"data": [], "pagination": pagination})

    assert read_page(body, "json", headers).numbering == Numbering(12, 3)
    assert read_page(body, "json", {}).numbering is None


@pytest.mark.parametrize("name", ["unit", "units"])
def test_units_have_two_names(name: str) -> None:
    changed = raw(NOON_MS) | {name: Decimal("0.25")}
    changed.pop({"unit": "units", "units": "unit"}[name], None)
    (entry,) = read_page(as_json({"data": [changed], "nextCursor": None}), "json", {}).entries

    assert isinstance(entry, Row)
    assert entry.units == Decimal("0.25")


@pytest.mark.parametrize(
    ("amount", "billed"),
    [
        ("-6e-7", "0.0000006"),
        ("-0.06356", "0.06356"),
        ("10", "-10"),
        ("-0.0", "0"),
        ("0", "0"),
        (
            "-0.1234567890123456789012345678901234567890",
            "0.123456789012345678901234567890123456789",
        ),
    ],
)
def test_amounts_are_exact_and_debits_are_positive(amount: str, billed: str) -> None:
    for value in (Decimal(amount), amount):
        found = row(amount=value).billed

        assert plain(found) == billed


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "is not a number"),
        (True, "is not a number"),
        ("", "is not a number"),
        ("a lot", "is not a number"),
        ([], "is not a number"),
        ({"usd": 1}, "is not a number"),
        ("NaN", "is not a number"),
        ("-Infinity", "is not a number"),
        (Decimal("-1e7"), "absurd"),
        (Decimal("1e7"), "absurd"),
        (Decimal("-1e999999"), "absurd"),
        ("-1e999999999999999999999999", "is not a number"),
        (Decimal("-1e-61"), "finer than any price"),
        (Decimal("-1e-999999"), "finer than any price"),
        ("-" + "9" * 200, "too many digits"),
    ],
)
def test_an_amount_that_is_none_makes_a_bad_row_of_its_request(value: object, what: str) -> None:
    found = bad(amount=value)

    assert what in found.reason
    assert found.request_id == "chatcmpl-1"
    assert found.at_ms == NOON_MS


@pytest.mark.parametrize("text", [b"NaN", b"-Infinity", b"1e99999999999999999999", b"9" * 9_999])
def test_a_number_that_python_would_choke_on_spoils_its_row_alone(text: bytes) -> None:
    good = as_json(raw(NOON_MS))
    body = b'{"data":[' + good.replace(b"-0.5", text) + b"," + good + b'],"nextCursor":null}'

    first, second = read_page(body, "json", {}).entries

    assert isinstance(first, BadRow)
    assert first.request_id == "chatcmpl-1"
    assert isinstance(second, Row)


@pytest.mark.parametrize("name", ["timestamp", "amount", "currency"])
def test_a_row_needs_its_time_amount_and_currency(name: str) -> None:
    assert isinstance(without(name), BadRow)
    assert isinstance(one(**{name: None}), BadRow)
    assert isinstance(one(**{name: 5 if name != "amount" else "x"}), BadRow)


@pytest.mark.parametrize("name", ["sku", "units", "pricePerUnitUsd", "notes"])
def test_a_row_is_good_without_the_rest(name: str) -> None:
    for entry in (without(name), one(**{name: None}), one(**{name: ["odd"]})):
        assert isinstance(entry, Row)
        assert entry.billed == Decimal("0.5")


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-11-23T13:00:00.000Z", NOON_MS),
        ("2026-11-23T13:00:00Z", NOON_MS),
        ("2026-11-23T14:00:00.000+01:00", NOON_MS),
        ("2026-11-23T13:00:00.000999", NOON_MS),
        (" 2026-11-23 13:00:00.001Z ", NOON_MS + 1),
    ],
)
def test_times_come_in_many_forms(text: str, at_ms: int) -> None:
    assert row(timestamp=text).at_ms == at_ms


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00Z", 1_795_438_800, "9" * 500]
)
def test_a_time_that_is_none_makes_a_bad_row(text: object) -> None:
    found = bad(timestamp=text)

    assert found.at_ms is None
    assert found.request_id == "chatcmpl-1"
    assert len(found.reason) < 150


@pytest.mark.parametrize("currency", ["", " ", "\x00", "\ud800", "X" * 201])
def test_a_currency_without_a_name_makes_a_bad_row(currency: str) -> None:
    assert "currency" in bad(currency=currency).reason


def test_a_currency_never_heard_of_is_read() -> None:
    assert row(currency=" gold ").currency == "GOLD"


@pytest.mark.parametrize("details", [None, {}, {"requestId": None}, {"requestId": ""}])
def test_a_row_may_be_of_no_request(details: object) -> None:
    assert row(inferenceDetails=details).request_id is None


@pytest.mark.parametrize(
    "details", ["x", [], 5, {"requestId": 5}, {"requestId": "\ud800"}, {"requestId": "x" * 201}]
)
def test_a_request_without_a_readable_id_makes_a_bad_row_of_nobody(details: object) -> None:
    assert bad(inferenceDetails=details).request_id is None


@pytest.mark.parametrize("value", [None, -1, "x", True, Decimal("0.5"), 10**12, [1]])
def test_tokens_that_are_no_count_are_not_told(value: object) -> None:
    details = {"requestId": "chatcmpl-1", "promptTokens": value, "completionTokens": "12"}
    found = row(inferenceDetails=details)

    assert found.prompt_tokens is None
    assert found.completion_tokens == 12


def test_texts_for_people_are_short_and_clean() -> None:
    found = row(sku="\x1b[31m" + "x" * 500, notes="\ud800a\nb")

    assert len(found.sku) < 201
    assert "\x1b" not in found.sku
    assert found.notes == "ab"


@pytest.mark.parametrize("entry", [None, 5, "x", [], True])
def test_a_row_that_is_no_object_spoils_itself_alone(entry: object) -> None:
    page = read_page(as_json({"data": [entry, raw(NOON_MS)], "nextCursor": None}), "json", {})

    assert [type(each) for each in page.entries] == [BadRow, Row]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!doctype html><title>502 Bad Gateway</title>",
        b"[]",
        b"null",
        b'"data"',
        b"{}",
        b'{"data":null}',
        b'{"data":{}}',
        b'{"data":[],"nextCursor":5}',
        b'{"data":[',
        b"[" * 100_000,
        b"\xff\xfe\x00",
        DOCUMENTED[:-40],
    ],
)
def test_what_is_no_page_is_refused(body: bytes) -> None:
    with pytest.raises(NotAPage) as caught:
        read_page(body, "json", {})

    assert len(str(caught.value)) < 120


# --- CSV ---


def test_a_table_has_the_same_rows() -> None:
    rows = [
        raw(NOON_MS),
        raw(NOON_MS + 1, None, "-6e-7", currency="DIEM"),
        raw(NOON_MS, tokens=None),
    ]

    table = read_page(as_csv(rows), "csv", {})

    assert table.entries == read_page(as_json({"data": rows}), "json", {}).entries
    assert table.tells_cursor


def test_the_cursor_of_a_table_is_in_a_header() -> None:
    assert read_page(as_csv([]), "csv", {"x-next-cursor": "abc"}).cursor == "abc"
    assert read_page(as_csv([]), "csv", {}).cursor is None


def test_a_table_says_in_headers_how_many_pages_there_are() -> None:
    headers = {"x-pagination-total": "12", "x-pagination-total-pages": "3"}

    assert read_page(as_csv([]), "csv", headers).numbering == Numbering(12, 3)


def test_columns_may_be_in_any_order_and_fewer() -> None:
    columns = ("currency", "inferenceDetails.requestId", "amount", "unit", "timestamp")
    (entry,) = read_page(
        b"\xef\xbb\xbf" + as_csv([raw(NOON_MS) | {"unit": 3}], columns), "csv", {}
    ).entries

    assert isinstance(entry, Row)
    assert (entry.units, entry.request_id, entry.prompt_tokens) == (Decimal(3), "chatcmpl-1", None)


def test_a_line_of_another_length_is_a_bad_row_of_its_request() -> None:
    lines = as_csv([raw(NOON_MS), raw(NOON_MS + 1)]).splitlines()
    lines[1] = lines[1] + b",more"
    lines.insert(2, b"")

    first, second = read_page(b"\r\n".join(lines), "csv", {}).entries

    assert isinstance(first, BadRow)
    assert (first.request_id, first.at_ms) == ("chatcmpl-1", NOON_MS)
    assert isinstance(second, Row)


@pytest.mark.parametrize(
    "body",
    [
        b"<!doctype html>\n<title>502 Bad Gateway</title>",
        b"timestamp,sku\n1,2",
        b'timestamp,amount,currency\n"open',
        b"timestamp,amount,currency\n" + b"x" * 200_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_table_is_refused(body: bytes) -> None:
    with pytest.raises(NotAPage):
        read_page(body, "csv", {})


def test_an_empty_table_has_no_rows() -> None:
    assert read_page(b"", "csv", {}).entries == ()


def test_the_content_type_decides_between_the_forms() -> None:
    rows = [raw(NOON_MS)]
    table, document = as_csv(rows), as_json({"data": rows, "nextCursor": None})

    assert read_page(table, "json", {"content-type": "text/csv; charset=utf-8"}).entries
    assert read_page(document, "csv", {"content-type": "application/json"}).entries


# --- Properties ---


def test_a_row_is_told_apart_by_what_it_charges_and_not_by_how_it_is_written() -> None:
    same = row(amount="-0.50", notes="another note", pricePerUnitUsd=7)

    assert same.identity == row().identity
    for change in (
        {"amount": "-0.51"},
        {"sku": "x"},
        {"units": 1},
        {"currency": "DIEM"},
        {"timestamp": "2026-11-23T13:00:00.001Z"},
        {"inferenceDetails": {"requestId": "another"}},
    ):
        assert row(**change).identity != row().identity


@given(st.decimals(min_value=-9_000_000, max_value=9_000_000, places=20))
def test_the_plain_text_of_a_number_is_the_number(number: Decimal) -> None:
    text = plain(number)

    assert Decimal(text) == number
    assert "E" not in text
    assert plain(Decimal(f"{number:.30f}")) == text


@given(JSON, st.sampled_from(["json", "csv"]))
def test_whatever_comes_is_a_page_or_is_refused(document: Any, form: Any) -> None:
    body = json.dumps(document).encode()
    for text in (body, b'{"data":' + body + b"}", b'{"data":[' + body + b"]}"):
        try:
            page = read_page(text, form, {})
        except NotAPage:
            continue
        for entry in page.entries:
            assert isinstance(entry, BadRow) or abs(entry.billed) * 10**9 <= EXACT_MAX


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(raw(NOON_MS), JSON)))
def test_whatever_stands_in_a_row_it_has_a_bounded_amount_or_a_reason(changes: Raw) -> None:
    body = json.dumps({"data": [json.loads(as_json(raw(NOON_MS))) | changes]}).encode()

    (entry,) = read_page(body, "json", {}).entries

    if isinstance(entry, BadRow):
        assert entry.reason.isprintable()
        assert len(entry.reason) < 200
    else:
        assert abs(entry.billed) * 10**9 <= EXACT_MAX
        assert Decimal(json.loads(entry.identity)[3]) == entry.billed


def test_what_is_shown_is_short_and_clean() -> None:
    assert shown("a\nb") == "a b"
    assert len(shown("x" * 100)) == 60
