"""AGIPower's management endpoints."""

from decimal import Decimal
from typing import Any

import pytest

from proxy.simulator.keys import key_id
from tests.proxy.simulator.conversation import (
    MANAGEMENT,
    PAYG,
    SUBSCRIPTION,
    Conversation,
    HandClock,
    Reply,
)

_BASE = "/api/v1/management"
_COST = f"{_BASE}/cost?type=cost&query_dimension=BIZ_DT&query_time="


async def _get(talk: Conversation, path: str) -> dict[str, Any]:
    data: dict[str, Any] = (await talk.get(_BASE + path, key=MANAGEMENT)).document["data"]
    return data


@pytest.mark.parametrize("path", ["/subscription/detail", "/flow_rate", "/payg/balance"])
async def test_only_a_management_key_is_let_in(talk: Conversation, path: str) -> None:
    assert (await talk.get(_BASE + path, key=PAYG)).status == 403
    assert (await talk.get(_BASE + path, key="")).status == 403
    assert (await talk.get(_BASE + path, key=MANAGEMENT)).document["success"]


@pytest.mark.parametrize("path", ["/subscription/detail", "/flow_rate", "/payg/balance"])
async def test_too_many_requests_are_answered_with_422(talk: Conversation, path: str) -> None:
    await talk.scene({"management_422_every": 2})

    assert (await talk.get(_BASE + path, key=MANAGEMENT)).status == 200
    assert (await talk.get(_BASE + path, key=MANAGEMENT)).status == 422


async def test_before_first_use_no_window_has_started(talk: Conversation) -> None:
    detail = await _get(talk, "/subscription/detail")

    assert detail["quota_5_hour"]["resets_at"] is None
    assert detail["quota_5_hour"]["used_flows"] == 0
    assert detail["quota_5_hour"]["max_flows"] == 800
    assert detail["quota_monthly"] == {
        "max_flows": 34_560,
        "max_value_usd": pytest.approx(Decimal("1134.6"), abs=Decimal("0.01")),
    }
    assert detail["account_status"] == "healthy"


async def test_quotas_count_what_subscription_keys_use(
    talk: Conversation, clock: HandClock
) -> None:
    await talk.scene({"usage": {"input": 1_000_000, "output": 0}})
    await talk.chat("anthropic/claude-opus-5.5", key=PAYG)
    await talk.chat("anthropic/claude-opus-5.5", key=SUBSCRIPTION)

    used = (await _get(talk, "/subscription/detail"))["quota_5_hour"]
    clock.advance(5 * 3_600)
    detail = await _get(talk, "/subscription/detail")

    assert used["used_flows"] == pytest.approx(Decimal("152.3"), abs=Decimal("0.01"))
    assert used["used_flows"] + used["remaining_flows"] == 800
    assert used["usage_percentage"] == Decimal("0.1904")
    assert used["used_value_usd"] == 5
    assert used["resets_at"] == "2026-11-22T03:26:40.000Z"
    assert detail["quota_5_hour"]["used_flows"] == 0
    assert detail["quota_7_day"]["used_flows"] == used["used_flows"]


async def test_a_scenario_sets_quotas_and_standing(talk: Conversation) -> None:
    quota = {"quota_5_hour": {"used_flows": "800.5"}, "effective_usd_per_flow": "0.05"}
    await talk.scene({"quota": quota, "account_status": "monitored"})

    detail = await _get(talk, "/subscription/detail")
    rate = await _get(talk, "/flow_rate")

    assert detail["quota_5_hour"]["remaining_flows"] == 0
    assert detail["account_status"] == "monitored"
    assert rate == {
        "currency": "usd",
        "base_usd_per_flow": Decimal("0.03283"),
        "effective_usd_per_flow": Decimal("0.05"),
    }


async def test_the_bonus_is_spent_first(talk: Conversation) -> None:
    await talk.scene({"balance_usd": "500", "billed_nano_usd": 450 * 10**9})

    await talk.chat()

    assert await _get(talk, "/payg/balance") == {
        "currency": "usd",
        "total_credits": 50,
        "top_up_credits": 50,
        "bonus_credits": 0,
    }


async def _cost(talk: Conversation, query: str, path: str = _COST) -> Reply:
    return await talk.get(path + query, key=MANAGEMENT)


async def test_cost_is_the_same_money_in_three_cuts(talk: Conversation) -> None:
    await talk.scene({"usage": {"input": 1_000, "output": 100}})
    await talk.chat("openai/gpt-5.6", key=PAYG)
    await talk.chat("acme/mini", key="sk-ai-v1-other")

    data = (await _cost(talk, "20261121")).document["data"]

    summary, analysis = data["summary"], data["analysis"]
    assert summary["totalCost"] == "0.0024600000"
    assert (summary["inputCost"], summary["outputCost"]) == ("0.0014000000", "0.0010600000")
    assert (summary["requestCounts"], summary["totalTokens"]) == ("2", "2200")
    for rows in analysis.values():
        assert sum(Decimal(row["billAmount"]) for row in rows) == Decimal("0.00246")
    assert {row["apiKeyId"] for row in analysis["costByApiKey"]} == {
        key_id(PAYG),
        key_id("sk-ai-v1-other"),
    }
    assert analysis["costByModel"][0]["bizTime"] == "2026112122"


async def test_cost_can_be_narrowed(talk: Conversation) -> None:
    await talk.chat("openai/gpt-5.6", key=PAYG)
    await talk.chat("acme/mini", key=SUBSCRIPTION)

    for query in (
        "&model_slugs=acme/mini",
        f"&api_key_ids={key_id(SUBSCRIPTION)}",
        "&bill_types=subscription",
    ):
        data = (await _cost(talk, "20261121" + query)).document["data"]
        assert data["summary"]["requestCounts"] == "1"
        assert [row["modelSlug"] for row in data["analysis"]["costByModel"]] == ["acme/mini"]
    nothing = (await _cost(talk, "20261122")).document["data"]["summary"]
    assert (nothing["totalCost"], nothing["requestAvgCost"]) == ("0.0000000000", None)


async def test_usage_counts_tokens_by_model(talk: Conversation) -> None:
    await talk.scene({"usage": {"input": 10, "output": 5}})
    await talk.chat()
    path = f"{_BASE}/usage?type=usage&query_dimension=BIZ_MTH&query_time="

    data = (await _cost(talk, "202611", path)).document["data"]

    assert data["summary"]["totalTokens"] == "15"
    assert data["analysis"]["usageByModel"][0]["bizTime"] == "20261121"
    assert (await _cost(talk, "", path)).status == 400


async def test_cost_refuses_in_its_own_way(talk: Conversation) -> None:
    assert (await talk.get(_COST + "20261121", key="")).status == 401
    assert (await talk.get(_COST + "20261121", key=PAYG)).status == 403
    assert (await _cost(talk, "")).status == 400
    for _ in range(59):
        await _cost(talk, "20261121")

    limited = await _cost(talk, "20261121")

    assert (limited.status, limited.headers["retry-after"]) == (429, "60")
