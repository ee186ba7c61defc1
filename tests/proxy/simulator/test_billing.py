"""Venice's ledger."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from tests.proxy.simulator.conversation import (
    VENICE,
    VENICE_ADMIN,
    Conversation,
    HandClock,
    Reply,
)

_HISTORY = "/api/v1/billing/usage-history"
_USAGE = "/api/v1/billing/usage"
_PURCHASE = {
    "timestamp": "2026-11-21T22:00:00.000Z",
    "sku": "credit-purchase",
    "units": 1,
    "pricePerUnitUsd": 10,
    "amount": 10,
    "currency": "USD",
    "notes": "",
    "inferenceDetails": None,
}


async def _get(talk: Conversation, path: str, **headers: str) -> Reply:
    return await talk.get(path, key=VENICE_ADMIN, **headers)


async def _spend(talk: Conversation, clock: HandClock, calls: int = 1) -> list[str]:
    ids = []
    for _ in range(calls):
        ids.append((await talk.chat("zai-org-glm-5-1", key=VENICE)).document["id"])
        clock.advance(10)
    clock.advance(60)
    return ids


async def test_one_call_is_several_debits_under_one_id(
    talk: Conversation, clock: HandClock
) -> None:
    await talk.scene(
        {"usage": {"input": 1_000, "cache_read": 10, "output": 100, "web_searches": 1}}
    )
    [chat_id] = await _spend(talk, clock)

    rows = (await _get(talk, _HISTORY)).document["data"]

    assert [row["sku"] for row in rows] == [
        "zai-org-glm-5-1-llm-input-mtoken",
        "zai-org-glm-5-1-llm-output-mtoken",
        "zai-org-glm-5-1-llm-input-cached-mtoken",
        "search-augmentation",
    ]
    assert {row["inferenceDetails"]["requestId"] for row in rows} == {chat_id}
    assert len({row["timestamp"] for row in rows}) == 4
    assert [row["amount"] for row in rows] == [
        Decimal("-0.0007"),
        Decimal("-0.00028"),
        Decimal("-7E-7"),
        Decimal("-0.01"),
    ]
    assert rows[0]["units"] == Decimal("0.001")


async def test_a_response_is_debited_under_its_chat_completion(
    talk: Conversation, clock: HandClock
) -> None:
    body = {"model": "zai-org-glm-5-1", "input": "x"}
    answer = (await talk.post("/api/v1/responses", body, key=VENICE)).document
    clock.advance(60)

    rows = (await _get(talk, _HISTORY)).document["data"]

    assert "resp_" + rows[0]["inferenceDetails"]["requestId"] == answer["id"]
    assert "cost" not in answer


async def test_debits_add_up_to_what_was_billed_in_its_currency(
    talk: Conversation, clock: HandClock
) -> None:
    await talk.scene({"billed_nano_usd": 1_234_567, "currency": "DIEM"})
    await _spend(talk, clock)

    diem = (await _get(talk, f"{_HISTORY}?currency=DIEM")).document["data"]
    usd = (await _get(talk, f"{_HISTORY}?currency=USD")).document["data"]

    assert sum(row["amount"] for row in diem) == Decimal("-0.001234567")
    assert usd == []


async def test_rows_appear_after_their_delay(talk: Conversation, clock: HandClock) -> None:
    await talk.scene({"billed_after_s": 100})
    await _spend(talk, clock)

    assert (await _get(talk, _HISTORY)).document["data"] == []
    clock.advance(30)
    assert len((await _get(talk, _HISTORY)).document["data"]) == 2


async def _pages(talk: Conversation, first: str) -> list[list[dict[str, Any]]]:
    pages = []
    document = (await _get(talk, first)).document
    pages.append(document["data"])
    while cursor := document["nextCursor"]:
        document = (await _get(talk, f"{_HISTORY}?cursor={cursor}")).document
        pages.append(document["data"])
    return pages


async def test_the_cursor_leads_through_all_rows_once(talk: Conversation, clock: HandClock) -> None:
    twins = [_PURCHASE | {"sku": f"purchase-{number}"} for number in range(15)]
    await talk.scene({"ledger_rows": twins})
    await _spend(talk, clock, calls=12)

    pages = await _pages(talk, f"{_HISTORY}?pageSize=10")

    rows = [row for page in pages for row in page]
    assert [len(page) for page in pages] == [10, 10, 10, 9]
    assert len({(row["timestamp"], row["sku"]) for row in rows}) == 39
    assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)


async def test_the_end_of_a_span_is_exclusive(talk: Conversation, clock: HandClock) -> None:
    await _spend(talk, clock, calls=2)
    [first, *_] = (await _get(talk, _HISTORY)).document["data"]
    start = first["timestamp"]

    inside = await _get(
        talk, f"{_HISTORY}?startTimestamp={start}&endTimestamp=2027-01-01T00:00:00Z"
    )
    before = await _get(talk, f"{_HISTORY}?endTimestamp={start}")

    assert len(inside.document["data"]) == 4
    assert before.document["data"] == []


async def test_a_cursor_expires(talk: Conversation, clock: HandClock) -> None:
    await talk.scene({"cursor_expires_after_s": 5})
    await _spend(talk, clock, calls=10)
    cursor = (await _get(talk, f"{_HISTORY}?pageSize=10")).document["nextCursor"]
    clock.advance(6)

    late = await _get(talk, f"{_HISTORY}?cursor={cursor}")

    assert late.status == 400
    assert late.document["error"].startswith("Invalid or expired cursor")


@pytest.mark.parametrize(
    "query",
    [
        "pageSize=9",
        "pageSize=1001",
        "currency=VCU",
        "startTimestamp=yesterday",
        "endTimestamp=yesterdayZ",
        "limit=5",
        "cursor=nonsense",
        "cursor=nonsense&currency=USD",
    ],
)
async def test_a_wrong_question_to_the_history_is_refused(talk: Conversation, query: str) -> None:
    assert (await _get(talk, f"{_HISTORY}?{query}")).status == 400


@pytest.mark.parametrize("path", [_HISTORY, _USAGE, "/api/v1/billing/balance"])
async def test_the_ledger_needs_an_admin_key(talk: Conversation, path: str) -> None:
    inference = await talk.get(path, key=VENICE)

    assert inference.status == 401
    assert inference.document == {"error": "Admin API key required"}
    assert (await talk.get("/venice" + path, key="")).status == 401


async def test_history_as_csv_has_its_cursor_in_a_header(
    talk: Conversation, clock: HandClock
) -> None:
    await talk.scene({"billed_nano_usd": 600})
    await _spend(talk, clock, calls=10)

    reply = await _get(talk, f"{_HISTORY}?pageSize=10", accept="text/csv")
    last = await _get(
        talk, f"{_HISTORY}?cursor={reply.headers['x-next-cursor']}", accept="text/csv"
    )

    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
    assert len(rows) == 10
    assert rows[0]["inferenceDetails.requestId"].startswith("chatcmpl-")
    assert "E" not in rows[0]["amount"]
    assert "x-next-cursor" not in last.headers
    assert "billing-usage-history-" in reply.headers["content-disposition"]


async def test_usage_is_numbered_from_the_newest_on(talk: Conversation, clock: HandClock) -> None:
    await talk.scene({"ledger_rows": [_PURCHASE]})
    await _spend(talk, clock, calls=2)

    newest = await _get(talk, f"{_USAGE}?limit=2&page=1")
    oldest = await _get(talk, f"{_USAGE}?limit=2&page=1&sortOrder=asc")
    as_csv = await _get(talk, f"{_USAGE}?limit=2&page=3", accept="text/csv")

    assert newest.document["pagination"] == {"limit": 2, "page": 1, "total": 5, "totalPages": 3}
    assert newest.headers["x-pagination-total"] == "5"
    assert oldest.document["data"][0] == _PURCHASE
    assert newest.document["data"][0]["timestamp"] > oldest.document["data"][1]["timestamp"]
    assert b"credit-purchase" in as_csv.body
    assert as_csv.headers["x-pagination-total-pages"] == "3"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "page=0", "sortOrder=up", "currency=EUR", "startDate=x"]
)
async def test_a_wrong_question_to_usage_is_refused(talk: Conversation, query: str) -> None:
    assert (await _get(talk, f"{_USAGE}?{query}")).status == 400


async def test_usage_may_be_gone(talk: Conversation) -> None:
    await talk.scene({"billing_usage_gone": True})

    reply = await _get(talk, _USAGE)

    assert reply.status == 410
    assert "usage-history" in reply.headers["link"]
    assert {"deprecation", "sunset"} <= reply.headers.keys()


async def test_the_balance_goes_down_with_what_is_spent(
    talk: Conversation, clock: HandClock
) -> None:
    before = (await _get(talk, "/api/v1/billing/balance")).document
    await talk.scene({"billed_nano_usd": 10**9})
    await _spend(talk, clock)

    after = (await _get(talk, "/api/v1/billing/balance")).document
    limits = (await talk.get("/api/v1/api_keys/rate_limits", key=VENICE)).document["data"]

    assert before["balances"]["usd"] - after["balances"]["usd"] == 1
    assert limits["balances"]["USD"] == after["balances"]["usd"]
    assert limits["nextEpochBegins"] == "2026-11-22T00:00:00.000Z"
    assert (await talk.get("/venice/api/v1/api_keys/rate_limits", key="")).status == 401


async def test_a_bill_without_tokens_is_one_row(talk: Conversation, clock: HandClock) -> None:
    await talk.scene({"usage": {"input": 0, "output": 0}, "billed_nano_usd": 5})
    await _spend(talk, clock)

    [row] = (await _get(talk, _HISTORY)).document["data"]

    assert row["amount"] == Decimal("-5E-9")
