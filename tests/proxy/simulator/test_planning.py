"""What a call will use and cost."""

from typing import Any

import msgspec
import pytest

from proxy.simulator.answers import Asked
from proxy.simulator.paths import Flavour
from proxy.simulator.planning import (
    billed_nano_usd,
    expressible,
    resolve,
    shown_model,
    tokens_in,
    usage_of,
)
from proxy.simulator.scenario import PLAIN, Scenario
from proxy.simulator.usage import Usage
from tests.proxy.simulator.conversation import CHAT, SUBSCRIPTION, VENICE, Conversation


def _scenario(**fields: object) -> Scenario:
    return msgspec.convert(fields, Scenario)


@pytest.mark.parametrize(("size", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (4_000, 1_000)])
def test_four_bytes_are_a_token(size: int, tokens: int) -> None:
    assert tokens_in(size) == tokens


@pytest.mark.parametrize(
    ("limit", "choices", "output"),
    [(None, 1, 64), (5, 1, 5), (4_096, 1, 4_096), (4_097, 1, 64), (0, 1, 0), (5, 3, 15)],
)
def test_the_output_fills_a_limit_that_is_not_too_large(
    limit: int | None, choices: int, output: int
) -> None:
    asked = Asked(model="m", output_limit=limit, choices=choices)

    assert usage_of(asked, PLAIN, input_tokens=7) == Usage(input=7, output=output)


def test_reasoning_counts_against_the_limit() -> None:
    asked = Asked(model="m", output_limit=100)

    usage = usage_of(asked, _scenario(usage={"reasoning": 30}), input_tokens=7)

    assert (usage.output, usage.reasoning) == (70, 30)


def test_a_scenario_fixes_what_it_names() -> None:
    asked = Asked(model="m", output_limit=100, choices=2)

    usage = usage_of(asked, _scenario(usage={"input": 1, "output": 2}), input_tokens=7)

    assert usage == Usage(input=1, output=2)


@pytest.mark.parametrize(
    ("dialect", "flavour", "model", "parts"),
    [
        ("messages", Flavour.ANTHROPIC, "claude", (1, 2, 3)),
        ("chat_completions", Flavour.AGIPOWER, "anthropic/claude-x", (1, 2, 3)),
        ("chat_completions", Flavour.AGIPOWER, "acme/mini", (1, 5, 0)),
        ("responses", Flavour.OPENAI, "gpt", (1, 5, 0)),
        ("generate_content", Flavour.GOOGLE, "gemini", (6, 0, 0)),
        ("embeddings", Flavour.OPENAI, "e", (6, 0, 0)),
    ],
)
def test_the_truth_has_no_parts_that_the_dialect_cannot_tell(
    dialect: str, flavour: Flavour, model: str, parts: tuple[int, int, int]
) -> None:
    usage = Usage(input=1, cache_write_5m=2, cache_write_1h=3)

    told = expressible(usage, dialect, flavour, model)

    assert (told.input, told.cache_write_5m, told.cache_write_1h) == parts
    assert told.prompt == usage.prompt


@pytest.mark.parametrize(
    ("fields", "billed"),
    [
        ({}, 2),
        ({"billed_factor": "1.44"}, 2),
        ({"billed_factor": "2"}, 3),
        ({"billed_factor": "0.5"}, 1),
        ({"billed_factor": "0"}, 0),
        ({"billed_nano_usd": 9}, 9),
    ],
)
def test_the_bill_is_rounded_up_once(fields: dict[str, Any], billed: int) -> None:
    assert billed_nano_usd(_scenario(**fields), 1_001) == billed


def test_the_answer_names_the_model_as_its_provider_does() -> None:
    asked = Asked(model="gpt-5.6")
    model = resolve(asked, PLAIN, Flavour.AGIPOWER)
    assert model is not None

    names = [
        shown_model(asked.model, model, PLAIN, flavour, "chat_completions")
        for flavour in (Flavour.AGIPOWER, Flavour.OPENAI)
    ]

    assert names == ["openai/gpt-5.6", "gpt-5.6"]
    other = _scenario(answer_model="acme/mini")
    assert shown_model(asked.model, model, other, Flavour.OPENAI, "responses") == "acme/mini"


async def test_another_model_may_answer_and_is_billed(talk: Conversation) -> None:
    await talk.scene(
        {"answer_model": "anthropic/claude-opus-5.5", "usage": {"input": 1, "output": 0}}
    )

    reply = await talk.chat("acme/mini")

    assert reply.document["model"] == "anthropic/claude-opus-5.5"
    assert (await talk.last())["billed_nano_usd"] == 5_000


async def test_a_missing_model_is_not_found(talk: Conversation) -> None:
    reply = await talk.chat("missing/model")

    assert reply.status == 404
    assert reply.document["error"]["type"] == "model_not_available"


async def test_a_subscription_pays_with_flows(talk: Conversation) -> None:
    await talk.scene({"usage": {"input": 1_000_000, "output": 0}})

    await talk.chat("anthropic/claude-opus-5.5", key=SUBSCRIPTION)

    call = await talk.last()
    assert (call["bill_type"], call["billed_nano_usd"]) == ("subscription", 0)
    assert call["listed_nano_usd"] == 5 * 10**9
    assert call["nano_flows"] == -(-5 * 10**18 // 32_830_000)


async def test_a_used_up_subscription_with_extra_usage_is_billed(talk: Conversation) -> None:
    await talk.scene({"quota": {"quota_5_hour": {"used_flows": "800"}}, "extra_usage": True})

    await talk.chat(key=SUBSCRIPTION)

    call = await talk.last()
    assert call["bill_type"] == "fallbackMetered"
    assert call["billed_nano_usd"] == call["listed_nano_usd"] > 0


async def test_venice_does_not_bill_an_answer_without_output(talk: Conversation) -> None:
    await talk.scene({"usage": {"input": 1_000, "output": 0}})

    reply = await talk.chat("zai-org-glm-5-1", key=VENICE, path=CHAT)

    assert reply.document["cost"] == {"usd": 0, "diem": 0}
    assert (await talk.last())["billed_nano_usd"] == 0
