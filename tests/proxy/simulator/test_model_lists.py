"""Model lists."""

from decimal import Decimal
from typing import Any

import pytest

from tests.proxy.simulator.conversation import PAYG, VENICE, Conversation


async def _models(talk: Conversation, path: str, key: str = PAYG) -> dict[str, Any]:
    document = (await talk.get(path, key=key)).document
    rows = document["models"] if "models" in document else document["data"]
    return {row.get("id", row.get("name")): row for row in rows}


async def test_agipower_lists_tiers_with_their_conditions(talk: Conversation) -> None:
    models = await _models(talk, "/api/v1/models", key="")

    pricings = models["anthropic/claude-sonnet-4.6"]["pricings"]
    assert pricings["prompt"] == [
        {
            "value": 3,
            "unit": "perMTokens",
            "currency": "USD",
            "conditions": {"prompt_tokens": {"unit": "kTokens", "gte": 0, "lt": 200}},
        },
        {
            "value": 6,
            "unit": "perMTokens",
            "currency": "USD",
            "conditions": {"prompt_tokens": {"unit": "kTokens", "gte": 200}},
        },
    ]
    assert pricings["web_search"] == [
        {"value": Decimal("0.01"), "unit": "perCount", "currency": "USD"}
    ]
    assert pricings["input_cache_write_1_h"][0]["value"] == 6


async def test_a_tier_may_depend_on_prompt_and_completion(talk: Conversation) -> None:
    models = await _models(talk, "/api/v1/models")

    conditions = models["bytedance/doubao-seed-2"]["pricings"]["completion"][0]["conditions"]
    assert conditions["completion_tokens"] == {"unit": "kTokens", "gte": 0, "lt": Decimal("0.2")}
    assert conditions["prompt_tokens"]["lt"] == 32


async def test_an_unpriced_model_is_listed_without_prices(talk: Conversation) -> None:
    models = await _models(talk, "/api/v1/models")

    assert models["acme/unpriced"]["pricings"] == {}
    assert models["acme/mini-free"]["pricings"]["prompt"][0]["value"] == 0


@pytest.mark.parametrize("path", ["/venice/api/v1/models", "/api/v1/models"])
async def test_venice_lists_dollars_and_diem(talk: Conversation, path: str) -> None:
    models = await _models(talk, path, key=VENICE)

    assert models["zai-org-glm-5-1"]["model_spec"]["pricing"]["output"] == {
        "usd": Decimal("2.8"),
        "diem": Decimal("2.8"),
    }
    extended = models["openai-gpt-55"]["model_spec"]["pricing"]["extended"]
    assert extended["context_token_threshold"] == 272_000
    assert extended["input"]["usd"] == Decimal("3.13")


async def test_openrouter_and_vercel_price_one_token(talk: Conversation) -> None:
    openrouter = await _models(talk, "/openrouter/api/v1/models")
    vercel = await _models(talk, "/vercel/v1/models")

    assert openrouter["acme/mini"]["pricing"]["prompt"] == "0.00000015"
    assert vercel["acme/mini"]["pricing"]["output"] == "0.0000006"
    assert vercel["acme/mini-free"]["pricing"]["input"] == "0"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/openai/v1/models", "gpt-5.6"),
        ("/anthropic/v1/models", "claude-opus-5-5"),
        ("/google/v1beta/models", "models/gemini-2.5-pro"),
        ("/api/vertex-ai/v1beta/models", "models/gemini-2.5-pro"),
        ("/api/anthropic/v1/models", "anthropic/claude-opus-5.5"),
    ],
)
async def test_each_list_has_its_own_shape(talk: Conversation, path: str, model: str) -> None:
    assert model in await _models(talk, path)
