"""The way of one call: keys, refusals, ids, and what is written down about it."""

import hashlib
import json

import pytest

from proxy.simulator.inference import REQUEST_ID_HEADER
from tests.proxy.simulator.conversation import (
    CHAT,
    MANAGEMENT,
    MESSAGES,
    SUBSCRIPTION,
    Conversation,
)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (CHAT, 403),
        ("/openai/v1/chat/completions", 401),
        ("/openrouter/v1/chat/completions", 401),
        ("/venice/api/v1/chat/completions", 402),
    ],
)
async def test_a_call_without_a_key_is_refused(talk: Conversation, path: str, status: int) -> None:
    reply = await talk.chat(path=path, key="")

    assert reply.status == status
    assert "error" in reply.document
    assert (await talk.last())["key_kind"] == "none"


async def test_a_management_key_makes_no_calls(talk: Conversation) -> None:
    reply = await talk.chat(key=MANAGEMENT)

    assert reply.status == 403
    assert reply.document["error"]["type"] == "access_denied"


async def test_the_truth_describes_what_arrived(talk: Conversation) -> None:
    body = {"model": "openai/gpt-5.6", "messages": MESSAGES, "max_tokens": 5, "stream": True}
    await talk.ask("POST", CHAT, body, headers={"x-client": "me"})

    call = await talk.last()

    sent = json.dumps(body).encode()
    assert call["body_bytes"] == len(sent)
    assert call["body_sha256"] == hashlib.sha256(sent).hexdigest()
    assert (call["dialect"], call["flavour"]) == ("chat_completions", "agipower")
    assert (call["model"], call["streamed"], call["status"]) == ("openai/gpt-5.6", True, 200)
    assert call["headers"]["x-client"] == "me"
    assert call["usage"]["input"] == -(-len(sent) // 4)
    assert call["usage"]["output"] == 5
    assert call["billed_nano_usd"] == call["usage"]["input"] * 1_250 + 5 * 10_000


async def test_ids_are_those_of_the_answer(talk: Conversation) -> None:
    await talk.scene({"generation_header": True})

    reply = await talk.chat()

    assert (await talk.last())["generation_ids"] == [
        reply.headers["x-generation-id"],
        reply.document["id"],
        reply.headers[REQUEST_ID_HEADER.lower()],
    ]


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("/openai/v1/chat/completions", "x-request-id"),
        ("/anthropic/v1/chat/completions", "request-id"),
        ("/openrouter/v1/chat/completions", "x-generation-id"),
        ("/venice/api/v1/chat/completions", "x-venice-balance-usd"),
    ],
)
async def test_headers_are_those_of_the_provider(
    talk: Conversation, path: str, header: str
) -> None:
    assert header in (await talk.chat(path=path)).headers


async def test_a_told_failure_costs_nothing(talk: Conversation) -> None:
    error = {"type": "rate_limit", "code": "429", "message": "Slow down."}
    await talk.scene(
        {
            "status": 429,
            "error": error,
            "retry_after": "7",
            "headers": {"x-why": "told"},
            "times": 1,
        }
    )

    refused = await talk.chat()
    answered = await talk.chat()

    assert refused.status == 429
    assert refused.document == {"error": error}
    assert (refused.headers["retry-after"], refused.headers["x-why"]) == ("7", "told")
    assert answered.status == 200
    assert [call["billed_nano_usd"] > 0 for call in await talk.truth()] == [False, True]
    assert (await talk.truth())[0]["error_type"] == "rate_limit"


async def test_the_body_of_a_failure_can_be_anything(talk: Conversation) -> None:
    await talk.scene({"status": 502, "error_body": "<html>Bad gateway</html>"})

    assert (await talk.chat()).body == b"<html>Bad gateway</html>"


async def test_a_failure_can_be_billed_all_the_same(talk: Conversation) -> None:
    await talk.scene({"status": 524, "billed_nano_usd": 77})

    reply = await talk.chat()

    call = await talk.last()
    assert call["billed_nano_usd"] == 77
    assert reply.headers[REQUEST_ID_HEADER.lower()] in call["generation_ids"]


async def test_an_error_may_come_with_status_200(talk: Conversation) -> None:
    await talk.scene({"body_error_200": True})

    reply = await talk.chat(path="/openrouter/v1/chat/completions", stream=True)

    assert reply.status == 200
    assert reply.document["error"]["code"] == 502
    assert (await talk.last())["billed_nano_usd"] == 0


async def test_every_so_many_calls_are_limited(talk: Conversation) -> None:
    await talk.scene({"rate_limit_every": 2})

    assert [(await talk.chat()).status for _ in range(4)] == [200, 429, 200, 429]


async def test_a_used_up_quota_is_spelt_as_the_provider_spells_it(talk: Conversation) -> None:
    await talk.scene({"quota": {"quota_5_hour": {"max_flows": "0.001"}}})
    await talk.chat("openai/gpt-5.6", key=SUBSCRIPTION, max_tokens=4_000)

    reply = await talk.chat(key=SUBSCRIPTION)

    assert reply.status == 402
    assert reply.document["error"]["type"] == "quote_exceeded"
    assert reply.document["error"]["code"] == "402"


async def test_the_bill_may_differ_from_the_price_list(talk: Conversation) -> None:
    await talk.scene({"billed_factor": "1.44", "usage": {"input": 1_000, "output": 0}})

    await talk.chat()

    call = await talk.last()
    assert (call["listed_nano_usd"], call["billed_nano_usd"]) == (150_000, 216_000)


async def test_a_stream_says_that_it_is_one(talk: Conversation) -> None:
    reply = await talk.chat(stream=True)

    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_a_request_may_bring_a_scenario_of_its_own(talk: Conversation) -> None:
    await talk.scene({"usage": {"output": 3}})
    body = {"model": "acme/mini", "messages": MESSAGES}
    own = {"x-simulator-scenario": '{"usage": {"output": 7}}'}
    unusable = {"x-simulator-scenario": '{"nonsense": 1}'}

    answered = await talk.ask("POST", CHAT, body, headers=own)
    refused = await talk.ask("POST", CHAT, body, headers=unusable)

    assert answered.document["usage"]["completion_tokens"] == 7
    assert refused.status == 400
    assert "nonsense" in refused.document["error"]["message"]
