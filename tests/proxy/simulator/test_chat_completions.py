"""Chat Completions, as the OpenAI SDK and the documents have it."""

from decimal import Decimal

import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.proxy.simulator.conversation import CHAT, PAYG, Conversation

_USER: ChatCompletionUserMessageParam = {"role": "user", "content": "How much is left?"}
_USAGE = {"input": 100, "cache_read": 30, "cache_write_5m": 7, "output": 9, "reasoning": 4}


async def test_the_sdk_reads_a_completion(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/api/v1", api_key=PAYG) as client:
        answer = await client.chat.completions.create(
            model="openai/gpt-5.6", messages=[_USER], max_tokens=5
        )

    assert answer.choices[0].message.content == "budgets are kept word by"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5
    assert len(answer.id) == 32


async def test_the_sdk_reads_a_stream(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=PAYG) as client:
        stream = await client.chat.completions.create(
            model="openai/gpt-5.6",
            messages=[_USER],
            max_tokens=5,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert text == "budgets are kept word by"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5
    assert len({chunk.id for chunk in chunks}) == 1


async def test_usage_comes_only_when_asked_for(talk: Conversation) -> None:
    silent = await talk.chat(stream=True)
    asked = await talk.chat(stream=True, stream_options={"include_usage": True})

    assert all("usage" not in event for event in silent.events)
    assert [event["usage"] for event in asked.events[:-1]] == [None] * (len(asked.events) - 1)
    assert asked.events[-1]["usage"]["total_tokens"] > 0
    assert silent.body.endswith(b"data: [DONE]\n\n")


async def test_usage_can_be_asked_for_in_the_older_way(talk: Conversation) -> None:
    reply = await talk.chat(stream=True, usage={"include": True})

    assert reply.events[-1]["choices"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": {"include_usage": True}, "usage": {"include": True}},
        {"n": 2},
        {"max_tokens": 0},
        {"messages": None, "model": 7},
    ],
)
async def test_agipower_refuses_what_it_is_known_to_refuse(
    talk: Conversation, fields: dict[str, object]
) -> None:
    reply = await talk.post(CHAT, {"model": "acme/mini", "messages": [_USER], **fields})

    assert reply.status == 400
    assert reply.document["error"]["code"] == "400"
    assert reply.document["error"]["type"] == "invalid_params"


async def test_cached_tokens_and_reasoning_are_subsets(talk: Conversation) -> None:
    await talk.scene({"usage": _USAGE})

    reply = await talk.chat("openai/gpt-5.6")

    assert reply.document["usage"] == {
        "prompt_tokens": 137,
        "completion_tokens": 13,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 7},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }


async def test_claude_tells_its_cache_writes_by_time_to_live(talk: Conversation) -> None:
    await talk.scene({"usage": _USAGE | {"cache_write_1h": 2, "web_searches": 1}})

    reply = await talk.chat("anthropic/claude-opus-5.5")

    assert reply.document["usage"]["prompt_tokens_details"] == {
        "cached_tokens": 30,
        "ephemeral_5m_input_tokens": 7,
        "ephemeral_1h_input_tokens": 2,
        "cache_creation_input_tokens": 9,
        "web_search": 1,
    }


async def test_a_converted_answer_has_more_cached_tokens_than_prompt(talk: Conversation) -> None:
    await talk.scene({"usage": {"input": 5, "cache_read": 90}, "quirks": ["converted"]})

    usage = (await talk.chat("anthropic/claude-opus-5.5")).document["usage"]

    assert usage["prompt_tokens"] == 5
    assert usage["prompt_tokens_details"]["cached_tokens"] == 90


async def test_venice_always_tells_usage_and_cost(talk: Conversation) -> None:
    await talk.scene({"usage": {"input": 1_000, "output": 100}})

    whole = await talk.chat("zai-org-glm-5-1", path="/venice" + CHAT)
    stream = await talk.chat("zai-org-glm-5-1", path="/venice" + CHAT, stream=True)

    assert whole.document["cost"] == {"usd": Decimal("0.00098"), "diem": 0}
    assert stream.events[-1]["cost"] == whole.document["cost"]
    assert stream.events[-1]["usage"]["prompt_tokens_details"] is None
    assert whole.document["id"].startswith("chatcmpl-")


async def test_venice_can_charge_diem_or_keep_the_cost_to_itself(talk: Conversation) -> None:
    await talk.scene({"currency": "DIEM", "billed_nano_usd": 600, "times": 1})
    await talk.scene({"quirks": ["no_cost"], "usage": {"cache_read": 4}, "times": 1})

    diem = await talk.chat("zai-org-glm-5-1", path="/venice" + CHAT)
    silent = await talk.chat("zai-org-glm-5-1", path="/venice" + CHAT)

    assert diem.document["cost"] == {"usd": 0, "diem": Decimal("6E-7")}
    assert "cost" not in silent.document
    assert silent.document["usage"]["prompt_tokens_details"]["cached_tokens"] == 4


async def test_openrouter_tells_the_cost_in_usage(talk: Conversation) -> None:
    await talk.scene({"usage": {"input": 1_000, "output": 100}})

    reply = await talk.chat(path="/openrouter" + CHAT, stream=True)

    assert reply.events[-1]["usage"]["cost"] == Decimal("0.00021")
    assert reply.headers["x-generation-id"] == reply.events[0]["id"]


async def test_vercel_names_the_generation_in_the_first_chunk(talk: Conversation) -> None:
    stream = await talk.chat(path="/vercel/v1/chat/completions", stream=True)
    whole = await talk.chat(path="/vercel/v1/chat/completions")

    first = stream.events[0]["providerMetadata"]["gateway"]["generationId"]
    assert first.startswith("gen_")
    assert first in (await talk.truth())[0]["generation_ids"]
    assert whole.document["providerMetadata"]["gateway"]["generationId"] != first


async def test_elsewhere_several_choices_are_all_billed(talk: Conversation) -> None:
    whole = await talk.chat(path="/openai/v1/chat/completions", n=3, max_tokens=5)
    stream = await talk.chat(path="/openai/v1/chat/completions", n=3, max_tokens=5, stream=True)

    assert [choice["index"] for choice in whole.document["choices"]] == [0, 1, 2]
    assert whole.document["usage"]["completion_tokens"] == 15
    assert {event["choices"][0]["index"] for event in stream.events} == {0, 1, 2}
    assert (await talk.last())["usage"]["output"] == 15


async def test_usage_in_every_chunk_is_cumulative(talk: Conversation) -> None:
    await talk.scene({"tokens_in_every_chunk": True, "usage": {"output": 64}})

    reply = await talk.chat(stream=True)

    counts = [event["usage"]["completion_tokens"] for event in reply.events]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 64)


async def test_the_router_picks_one_of_the_offered_models(talk: Conversation) -> None:
    config = {"available_models": ["acme/mini"]}

    picked = await talk.chat("zenmux/auto", model_routing_config=config)
    free = await talk.chat("zenmux/auto")

    assert picked.document["model"] == "acme/mini"
    assert free.document["model"] == "openai/gpt-5.6-mini"


async def test_details_can_be_null(talk: Conversation) -> None:
    await talk.scene({"quirks": ["null_details"]})

    assert (await talk.chat()).document["usage"]["completion_tokens_details"] is None
