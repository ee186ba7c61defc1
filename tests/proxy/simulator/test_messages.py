"""Messages, as the Anthropic SDK and the documents have it."""

import anthropic

from tests.proxy.simulator.conversation import MESSAGES, PAYG, Conversation

_PATH = "/api/anthropic/v1/messages"
_BODY = {"model": "anthropic/claude-opus-5.5", "messages": MESSAGES, "max_tokens": 5}
_USAGE = {
    "input": 12,
    "cache_read": 3_000,
    "cache_write_5m": 200,
    "cache_write_1h": 10,
    "output": 60,
    "reasoning": 180,
    "web_searches": 1,
}


async def test_the_sdk_reads_a_message(url: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=f"{url}/api/anthropic", api_key=PAYG) as client:
        message = await client.messages.create(
            model="claude-opus-5-5", max_tokens=5, messages=[{"role": "user", "content": "Hi"}]
        )

    block = message.content[0]
    assert isinstance(block, anthropic.types.TextBlock)
    assert block.text == "budgets are kept word by"
    assert message.usage.output_tokens == 5
    assert message.stop_reason == "end_turn"


async def test_the_sdk_reads_a_stream(url: str) -> None:
    async with (
        anthropic.AsyncAnthropic(base_url=f"{url}/anthropic", api_key=PAYG) as client,
        client.messages.stream(
            model="claude-opus-5-5", max_tokens=5, messages=[{"role": "user", "content": "Hi"}]
        ) as stream,
    ):
        text = "".join([piece async for piece in stream.text_stream])
        message = await stream.get_final_message()

    assert text == "budgets are kept word by"
    assert message.usage.output_tokens == 5
    assert message.id.startswith("msg_01")


async def test_the_input_is_told_apart_from_the_cache(talk: Conversation) -> None:
    await talk.scene({"usage": _USAGE})

    usage = (await talk.post(_PATH, _BODY)).document["usage"]

    assert usage == {
        "input_tokens": 12,
        "cache_creation_input_tokens": 210,
        "cache_read_input_tokens": 3_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 10},
        "output_tokens": 240,
        "output_tokens_details": {"thinking_tokens": 180},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
        "service_tier": "standard",
    }


async def test_a_stream_starts_with_the_input_and_ends_with_the_output(
    talk: Conversation,
) -> None:
    await talk.scene({"usage": _USAGE})

    events = (await talk.post(_PATH, _BODY | {"stream": True})).events

    start, delta = events[0]["message"]["usage"], events[-2]["usage"]
    assert [event["type"] for event in events[:3]] == [
        "message_start",
        "content_block_start",
        "ping",
    ]
    assert (start["input_tokens"], start["output_tokens"]) == (12, 1)
    assert start["cache_creation"]["ephemeral_1h_input_tokens"] == 10
    assert delta["output_tokens"] == 240
    assert "input_tokens" not in delta
    assert events[-1] == {"type": "message_stop"}


async def test_a_converted_stream_tells_its_input_at_the_end(talk: Conversation) -> None:
    await talk.scene({"usage": _USAGE, "quirks": ["converted"]})

    events = (await talk.post(_PATH, _BODY | {"stream": True})).events
    whole = (await talk.post(_PATH, _BODY)).document

    assert events[0]["message"]["usage"]["input_tokens"] == 0
    assert events[-2]["usage"]["input_tokens"] == 12
    assert events[-2]["usage"]["prompt_tokens"] == 3_222
    assert whole["usage"]["completion_tokens"] == whole["usage"]["output_tokens"] == 240


async def test_a_delta_may_repeat_the_input_as_zeros(talk: Conversation) -> None:
    await talk.scene({"usage": _USAGE, "quirks": ["zeros_in_message_delta"]})

    events = (await talk.post(_PATH, _BODY | {"stream": True})).events

    assert events[0]["message"]["usage"]["input_tokens"] == 12
    assert events[-2]["usage"]["input_tokens"] == 0


async def test_the_usage_may_stand_inside_the_delta(talk: Conversation) -> None:
    await talk.scene({"usage": _USAGE, "quirks": ["usage_inside_delta"]})

    event = (await talk.post(_PATH, _BODY | {"stream": True})).events[-2]

    assert "usage" not in event
    assert event["delta"]["usage"]["output_tokens"] == 240


async def test_iterations_are_billed_each_at_its_own_models_price(talk: Conversation) -> None:
    compaction = {"type": "compaction", "input": 1_000, "output": 10}
    advice = {"type": "advisor_message", "model": "anthropic/claude-haiku-4.5", "input": 100}
    message = {"type": "message", "input": 23, "output": 7}
    await talk.scene({"iterations": [compaction, advice, message]})

    whole = (await talk.post(_PATH, _BODY)).document["usage"]
    stream = (await talk.post(_PATH, _BODY | {"stream": True})).events[-2]["usage"]
    call = await talk.last()

    assert (whole["input_tokens"], whole["output_tokens"]) == (23, 7)
    assert [entry["type"] for entry in whole["iterations"]] == [
        "compaction",
        "advisor_message",
        "message",
    ]
    assert stream["iterations"] == whole["iterations"]
    assert call["usage"]["input"] == 1_123
    assert call["reported_usage"]["input"] == 23
    assert call["billed_nano_usd"] == 1_023 * 5_000 + 17 * 25_000 + 100 * 1_000


async def test_a_limit_is_required_and_may_be_zero(talk: Conversation) -> None:
    without = await talk.post(_PATH, {"model": "claude-opus-5-5", "messages": MESSAGES})
    warming = await talk.post(_PATH, _BODY | {"max_tokens": 0})

    assert without.status == 400
    assert warming.document["usage"]["output_tokens"] == 0


async def test_vercel_names_the_generation(talk: Conversation) -> None:
    reply = await talk.post("/vercel/v1/messages", _BODY | {"stream": True})

    gateway = reply.events[0]["message"]["providerMetadata"]["gateway"]
    assert gateway["generationId"].startswith("gen_")


async def test_venice_does_not_speak_messages(talk: Conversation) -> None:
    assert (await talk.post("/venice/v1/messages", _BODY)).status == 404
