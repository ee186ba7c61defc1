"""OpenAI's own Python SDK: what it gets through the proxy is what it gets without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import openai
import pytest
from openai import DEFAULT_MAX_RETRIES, AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.sdks.pair import OUTPUT_LIMIT, PATIENCE_S, PROMPT, Case, Pair, Side

MODEL = "openai/gpt-5.6-mini"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": PROMPT}]


def _with_client(use: Callable[[OpenAI], object], *, retries: int = DEFAULT_MAX_RETRIES) -> Case:
    def ask(side: Side) -> object:
        with OpenAI(
            base_url=f"{side.url}/v1", api_key=side.key, max_retries=retries, timeout=PATIENCE_S
        ) as client:
            return use(client)

    return lambda side: asyncio.to_thread(ask, side)


def _chat(client: OpenAI) -> object:
    return client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_completion_tokens=OUTPUT_LIMIT
    ).model_dump()


def _chat_streamed(client: OpenAI) -> object:
    stream = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_completion_tokens=OUTPUT_LIMIT, stream=True
    )
    return [chunk.model_dump() for chunk in stream]


def _chat_streamed_with_usage(client: OpenAI) -> object:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        max_completion_tokens=OUTPUT_LIMIT,
        stream=True,
        stream_options={"include_usage": True},
    )
    return [chunk.model_dump() for chunk in stream]


def _chat_stream_reader(client: OpenAI) -> object:
    with client.chat.completions.stream(
        model=MODEL, messages=MESSAGES, max_completion_tokens=OUTPUT_LIMIT
    ) as stream:
        kinds = [event.type for event in stream]
        return kinds, stream.get_final_completion().model_dump()


def _responses(client: OpenAI) -> object:
    return client.responses.create(
        model=MODEL, input=PROMPT, max_output_tokens=OUTPUT_LIMIT
    ).model_dump()


def _responses_streamed(client: OpenAI) -> object:
    stream = client.responses.create(
        model=MODEL, input=PROMPT, max_output_tokens=OUTPUT_LIMIT, stream=True
    )
    return [event.model_dump() for event in stream]


def _responses_stream_reader(client: OpenAI) -> object:
    with client.responses.stream(
        model=MODEL, input=PROMPT, max_output_tokens=OUTPUT_LIMIT
    ) as stream:
        kinds = [event.type for event in stream]
        return kinds, stream.get_final_response().model_dump()


def _embeddings(client: OpenAI) -> object:
    return client.embeddings.create(
        model="openai/text-embedding-3-small", input=["one", "two"]
    ).model_dump()


def _models(client: OpenAI) -> object:
    return [model.model_dump() for model in client.models.list()]


def _input_tokens(client: OpenAI) -> object:
    return client.responses.input_tokens.count(model=MODEL, input=PROMPT).model_dump()


async def _chat_async(side: Side) -> object:
    async with AsyncOpenAI(
        base_url=f"{side.url}/v1", api_key=side.key, timeout=PATIENCE_S
    ) as client:
        answer = await client.chat.completions.create(
            model=MODEL, messages=MESSAGES, max_completion_tokens=OUTPUT_LIMIT
        )
        return answer.model_dump()


async def _chat_streamed_async(side: Side) -> object:
    async with AsyncOpenAI(
        base_url=f"{side.url}/api/v1", api_key=side.key, timeout=PATIENCE_S
    ) as client:
        stream = await client.chat.completions.create(
            model=MODEL, messages=MESSAGES, max_completion_tokens=OUTPUT_LIMIT, stream=True
        )
        return [chunk.model_dump() async for chunk in stream]


METERED = {
    "chat": _with_client(_chat),
    "chat_streamed": _with_client(_chat_streamed),
    "chat_streamed_with_usage": _with_client(_chat_streamed_with_usage),
    "chat_stream_reader": _with_client(_chat_stream_reader),
    "responses": _with_client(_responses),
    "responses_streamed": _with_client(_responses_streamed),
    "responses_stream_reader": _with_client(_responses_stream_reader),
    "embeddings": _with_client(_embeddings),
    "chat_async": _chat_async,
    "chat_streamed_async": _chat_streamed_async,
}
FREE = {"models": _with_client(_models), "input_tokens": _with_client(_input_tokens)}
STREAMED = {
    "chat": _with_client(_chat_streamed),
    "chat_with_usage": _with_client(_chat_streamed_with_usage),
    "chat_reader": _with_client(_chat_stream_reader),
    "chat_async": _chat_streamed_async,
}

metered = pytest.mark.parametrize("case", METERED.values(), ids=METERED.keys())


@metered
async def test_the_answer_is_the_same_and_booked_as_billed(pair: Pair, case: Case) -> None:
    straight, through = await pair.ask_both(case)

    assert through == straight
    assert len(pair.truth.calls) == 1
    assert await pair.books() == pair.truth


@pytest.mark.parametrize("case", FREE.values(), ids=FREE.keys())
async def test_what_is_free_passes_and_is_not_booked(pair: Pair, case: Case) -> None:
    straight, through = await pair.ask_both(case)

    assert through == straight
    assert await pair.books() == pair.truth
    assert pair.truth.calls == []


async def test_an_answer_from_the_background_is_found_by_its_id_and_booked(pair: Pair) -> None:
    def ask(side: Side) -> object:
        with OpenAI(base_url=f"{side.url}/v1", api_key=side.key, timeout=PATIENCE_S) as client:
            begun = client.responses.create(
                model=MODEL, input=PROMPT, max_output_tokens=OUTPUT_LIMIT, background=True
            )
            waiting = client.responses.retrieve(begun.id)
            side.clock.advance(3_000)
            ready = client.responses.retrieve(begun.id)
        assert [each.status for each in (begun, waiting, ready)] == [
            "queued",
            "in_progress",
            "completed",
        ]
        return begun.model_dump(), waiting.model_dump(), ready.model_dump()

    straight, through = await pair.ask_both(lambda side: asyncio.to_thread(ask, side))

    assert through == straight
    assert await pair.books() == pair.truth


@metered
async def test_a_refusal_is_one_request_and_its_error_names_the_budget(
    pair: Pair, case: Case
) -> None:
    with pytest.raises(openai.APIStatusError, match="empty-purse") as raised:
        await case(pair.poor)

    assert raised.value.status_code == 402
    assert raised.value.code == "budget_exceeded"
    assert raised.value.type == "insufficient_quota"
    assert raised.value.request_id == raised.value.response.headers["x-bursar-call-id"]
    assert len(pair.proxied_wire.take()) == 1
    assert pair.bursar.simulator.calls == []


@pytest.mark.parametrize("name", ["chat", "responses_streamed", "embeddings"])
async def test_an_unknown_key_is_one_request_and_an_authentication_error(
    pair: Pair, name: str
) -> None:
    with pytest.raises(openai.AuthenticationError):
        await METERED[name](pair.stranger)

    assert len(pair.proxied_wire.take()) == 1
    assert pair.bursar.simulator.calls == []


@pytest.mark.parametrize("use", [_chat, _chat_streamed, _responses, _responses_streamed])
async def test_a_rate_is_told_apart_and_says_when_to_come_back(
    pair: Pair, use: Callable[[OpenAI], object]
) -> None:
    case = _with_client(use, retries=0)
    await case(pair.hasty)

    with pytest.raises(openai.RateLimitError, match="one-a-minute") as raised:
        await case(pair.hasty)

    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 61
    assert "x-should-retry" not in raised.value.response.headers
    assert len(pair.proxied_wire.take()) == 2


@pytest.mark.parametrize("case", STREAMED.values(), ids=STREAMED.keys())
async def test_a_stream_that_the_provider_cuts_is_an_error(pair: Pair, case: Case) -> None:
    pair.bursar.scenario(match={"dialect": "chat_completions"}, cut_after_events=3)

    with pytest.raises(openai.APIError, match="broke off"):
        await case(pair.proxied)


async def test_a_response_that_the_provider_cuts_ends_as_failed(pair: Pair) -> None:
    pair.bursar.scenario(match={"dialect": "responses"}, cut_after_events=3)

    events = await _with_client(_responses_streamed)(pair.proxied)

    assert isinstance(events, list)
    assert events[-1]["type"] == "response.failed"
    assert "broke off" in events[-1]["response"]["error"]["message"]
