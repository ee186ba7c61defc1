"""What a call cost, looked up by its id."""

from decimal import Decimal
from typing import Any

import pytest

from tests.proxy.simulator.conversation import (
    CONTENTS,
    MANAGEMENT,
    MESSAGES,
    SUBSCRIPTION,
    Conversation,
    HandClock,
    Reply,
)

_OLD, _NEW = "/api/v1/generation", "/api/v1/management/generation"


async def _look_up(talk: Conversation, generation_id: str, **how: str) -> Reply:
    path = f"{how.get('prefix', '')}{how.get('path', _NEW)}?id={generation_id}"
    return await talk.get(path, key=how.get("key", "sk-ai-v1-x"))


@pytest.mark.parametrize("path", [_OLD, _NEW])
async def test_a_receipt_comes_in_stages(talk: Conversation, clock: HandClock, path: str) -> None:
    await talk.scene({"not_found_first": 1, "usage": {"input": 1_000, "output": 100}})
    answer = (await talk.chat("openai/gpt-5.6")).document

    missing = await _look_up(talk, answer["id"], path=path)
    unbilled = (await _look_up(talk, answer["id"], path=path)).document
    clock.advance(180)
    billed = (await _look_up(talk, answer["id"], path=path)).document

    assert missing.status == 404
    assert "usage" not in unbilled
    assert "ratingResponses" not in unbilled
    assert unbilled["nativeTokens"]["prompt_tokens"] == 1_000
    assert billed["usage"] == billed["ratingResponses"]["billAmount"] == Decimal("0.00225")
    assert billed["generationId"] == answer["id"]
    assert billed["api"] == "chat.completions"
    assert [row["feeItemCode"] for row in billed["ratingResponses"]["ratingDetails"]] == [
        "prompt",
        "completion",
    ]


async def test_the_details_add_up_to_the_bill(talk: Conversation, clock: HandClock) -> None:
    usage = {"input": 7, "cache_read": 3, "cache_write_1h": 2, "output": 1, "web_searches": 1}
    await talk.scene({"usage": usage, "billed_factor": "0.333"})
    answer = (await talk.chat("anthropic/claude-opus-5.5")).document
    clock.advance(180)

    rating = (await _look_up(talk, answer["id"])).document["ratingResponses"]

    details = rating["ratingDetails"]
    assert sum(row["billAmount"] for row in details) == rating["billAmount"]
    assert sum(row["originAmount"] for row in details) == rating["originAmount"]
    assert rating["discountAmount"] == rating["originAmount"] - rating["billAmount"] > 0


async def test_every_id_of_an_answer_finds_its_receipt(talk: Conversation) -> None:
    await talk.scene({"generation_header": True})
    await talk.chat()

    for generation_id in (await talk.last())["generation_ids"]:
        assert (await _look_up(talk, generation_id)).status == 200


async def test_only_one_kind_of_id_may_be_known(talk: Conversation) -> None:
    await talk.scene({"receipt_by": "request_header"})
    await talk.chat()
    body_id, header_id = (await talk.last())["generation_ids"]

    assert (await _look_up(talk, body_id)).status == 404
    assert (await _look_up(talk, header_id)).status == 200


@pytest.mark.parametrize(
    ("path", "body", "api"),
    [
        ("/v1/responses", {"model": "acme/mini"}, "responses"),
        (
            "/v1/messages",
            {"model": "acme/mini", "max_tokens": 9, "messages": MESSAGES},
            "messages",
        ),
        ("/v1beta/models/acme/mini:generateContent", {"contents": CONTENTS}, "generateContent"),
    ],
)
async def test_all_dialects_have_receipts(
    talk: Conversation, path: str, body: dict[str, Any], api: str
) -> None:
    await talk.post(path, body)
    call = await talk.last()

    receipt = (await _look_up(talk, call["body_id"])).document

    assert receipt["api"] == api
    assert receipt["nativeTokens"]["completion_tokens"] == call["usage"]["output"]


async def test_a_subscription_is_metered_and_never_billed(
    talk: Conversation, clock: HandClock
) -> None:
    answer = (await talk.chat(key=SUBSCRIPTION)).document
    clock.advance(86_400)

    receipt = (await _look_up(talk, answer["id"], key=MANAGEMENT)).document

    assert "ratingResponses" not in receipt
    assert receipt["nativeTokens"]["completion_tokens"] == 64


async def test_a_subscription_key_sees_no_bill_of_another_key(
    talk: Conversation, clock: HandClock
) -> None:
    answer = (await talk.chat()).document
    clock.advance(180)

    assert "usage" not in (await _look_up(talk, answer["id"], key=SUBSCRIPTION)).document


@pytest.mark.parametrize(
    ("pending", "expected"),
    [
        ("null", {"usage": None, "ratingResponses": None}),
        ("zero", {"usage": 0}),
        ("refused", {"success": False}),
    ],
)
async def test_a_receipt_without_billing_has_many_looks(
    talk: Conversation, pending: str, expected: dict[str, object]
) -> None:
    await talk.scene({"unbilled_receipt": pending})
    answer = (await talk.chat()).document

    reply = await _look_up(talk, answer["id"])

    assert reply.status == 200
    assert expected.items() <= reply.document.items()


async def test_a_receipt_may_be_wrapped_or_old(talk: Conversation, clock: HandClock) -> None:
    await talk.scene({"quirks": ["wrapped_receipt", "old_receipt"], "billed_nano_usd": 600})
    answer = (await talk.chat()).document
    clock.advance(180)

    receipt = (await _look_up(talk, answer["id"])).document["data"]

    assert receipt["generation_id"] == answer["id"]
    assert receipt["usage"] == receipt["ratingResponses"]["billAmount"] == "0.000000600"


async def test_a_free_call_is_billed_with_zero(talk: Conversation, clock: HandClock) -> None:
    answer = (await talk.chat("acme/mini-free")).document
    clock.advance(180)

    assert (await _look_up(talk, answer["id"])).document["ratingResponses"]["billAmount"] == 0


async def test_a_running_stream_has_no_receipt_yet(talk: Conversation) -> None:
    await talk.scene({"stall_after_events": 2})
    url = f"{talk.url}/api/v1/chat/completions"
    body = {"model": "acme/mini", "messages": MESSAGES, "stream": True}
    headers = {"authorization": "Bearer sk-ai-v1-x"}

    async with talk.session.post(url, json=body, headers=headers) as response:
        await response.content.readany()
        running = await _look_up(talk, (await talk.last())["body_id"])

    assert running.status == 404


async def test_an_unknown_id_or_none_is_refused(talk: Conversation) -> None:
    assert (await _look_up(talk, "unknown")).status == 404
    assert (await talk.get(_NEW)).status == 400
    assert (await _look_up(talk, "unknown", key="")).status == 403


async def test_look_ups_are_limited_with_422(talk: Conversation) -> None:
    await talk.scene({"management_422_every": 1})

    assert (await _look_up(talk, "any")).status == 422


@pytest.mark.parametrize("flavour", ["openrouter", "vercel"])
async def test_the_neighbours_answer_404_until_the_cost_is_known(
    talk: Conversation, clock: HandClock, flavour: str
) -> None:
    await talk.scene({"usage": {"input": 1_000, "output": 100, "reasoning": 20}})
    await talk.chat(path=f"/{flavour}/v1/chat/completions")
    generation_id = (await talk.last())["generation_ids"][0]

    early = await _look_up(talk, generation_id, prefix=f"/{flavour}", path="/v1/generation")
    clock.advance(2)
    late = await _look_up(talk, generation_id, prefix=f"/{flavour}", path="/v1/generation")

    assert early.status == 404
    data = late.document["data"]
    assert data["id"] == generation_id
    assert data["total_cost"] == Decimal("0.000222")
    assert data["native_tokens_reasoning"] == 20
