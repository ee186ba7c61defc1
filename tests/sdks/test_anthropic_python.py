"""Anthropic's own Python SDK: what it gets through the proxy is what it gets without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anthropic
import pytest
from anthropic import DEFAULT_MAX_RETRIES, Anthropic, AsyncAnthropic
from anthropic.types import MessageParam

from tests.sdks.pair import OUTPUT_LIMIT, PATIENCE_S, PROMPT, Case, Pair, Side

MODEL = "anthropic/claude-haiku-4.5"
MESSAGES: list[MessageParam] = [{"role": "user", "content": PROMPT}]


def _with_client(
    use: Callable[[Anthropic], object], *, below: str = "", retries: int = DEFAULT_MAX_RETRIES
) -> Case:
    def ask(side: Side) -> object:
        with Anthropic(
            base_url=side.url + below, api_key=side.key, max_retries=retries, timeout=PATIENCE_S
        ) as client:
            return use(client)

    return lambda side: asyncio.to_thread(ask, side)


def _create(client: Anthropic) -> object:
    return client.messages.create(
        model=MODEL, messages=MESSAGES, max_tokens=OUTPUT_LIMIT
    ).model_dump()


def _streamed(client: Anthropic) -> object:
    stream = client.messages.create(
        model=MODEL, messages=MESSAGES, max_tokens=OUTPUT_LIMIT, stream=True
    )
    return [event.model_dump() for event in stream]


def _stream_reader(client: Anthropic) -> object:
    with client.messages.stream(model=MODEL, messages=MESSAGES, max_tokens=OUTPUT_LIMIT) as stream:
        kinds = [event.type for event in stream]
        return kinds, stream.get_final_message().model_dump()


def _count(client: Anthropic) -> object:
    return client.messages.count_tokens(model=MODEL, messages=MESSAGES).model_dump()


async def _create_async(side: Side) -> object:
    async with AsyncAnthropic(base_url=side.url, api_key=side.key, timeout=PATIENCE_S) as client:
        message = await client.messages.create(
            model=MODEL, messages=MESSAGES, max_tokens=OUTPUT_LIMIT
        )
        return message.model_dump()


async def _stream_reader_async(side: Side) -> object:
    async with (
        AsyncAnthropic(base_url=side.url, auth_token=side.key, timeout=PATIENCE_S) as client,
        client.messages.stream(model=MODEL, messages=MESSAGES, max_tokens=OUTPUT_LIMIT) as stream,
    ):
        text = [piece async for piece in stream.text_stream]
        return text, (await stream.get_final_message()).model_dump()


METERED = {
    "create": _with_client(_create),
    "create_below_api_anthropic": _with_client(_create, below="/api/anthropic"),
    "streamed": _with_client(_streamed),
    "stream_reader": _with_client(_stream_reader),
    "create_async": _create_async,
    "stream_reader_async": _stream_reader_async,
}
STREAMED = {name: case for name, case in METERED.items() if name.startswith("stream")}

metered = pytest.mark.parametrize("case", METERED.values(), ids=METERED.keys())


@metered
async def test_the_answer_is_the_same_and_booked_as_billed(pair: Pair, case: Case) -> None:
    straight, through = await pair.ask_both(case)

    assert through == straight
    assert len(pair.truth.calls) == 1
    assert await pair.books() == pair.truth


async def test_counting_tokens_passes_and_is_not_booked(pair: Pair) -> None:
    straight, through = await pair.ask_both(_with_client(_count))

    assert through == straight
    assert await pair.books() == pair.truth
    assert pair.truth.calls == []


@metered
async def test_a_refusal_is_one_request_and_its_error_names_the_budget(
    pair: Pair, case: Case
) -> None:
    with pytest.raises(anthropic.PaymentRequiredError, match="empty-purse") as raised:
        await case(pair.poor)

    assert raised.value.status_code == 402
    assert raised.value.type == "billing_error"
    assert raised.value.request_id == raised.value.response.headers["x-bursar-call-id"]
    assert len(pair.proxied_wire.take()) == 1
    assert pair.bursar.simulator.calls == []


@pytest.mark.parametrize("name", ["create", "stream_reader"])
async def test_an_unknown_key_is_one_request_and_an_authentication_error(
    pair: Pair, name: str
) -> None:
    with pytest.raises(anthropic.AuthenticationError):
        await METERED[name](pair.stranger)

    assert len(pair.proxied_wire.take()) == 1
    assert pair.bursar.simulator.calls == []


@pytest.mark.parametrize("use", [_create, _streamed, _stream_reader])
async def test_a_rate_is_told_apart_and_says_when_to_come_back(
    pair: Pair, use: Callable[[Anthropic], object]
) -> None:
    case = _with_client(use, retries=0)
    await case(pair.hasty)

    with pytest.raises(anthropic.RateLimitError, match="one-a-minute") as raised:
        await case(pair.hasty)

    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 61
    assert "x-should-retry" not in raised.value.response.headers
    assert len(pair.proxied_wire.take()) == 2


@pytest.mark.parametrize("case", STREAMED.values(), ids=STREAMED.keys())
async def test_a_stream_that_the_provider_cuts_is_an_error(pair: Pair, case: Case) -> None:
    pair.bursar.scenario(match={"dialect": "messages"}, cut_after_events=3)

    with pytest.raises(anthropic.APIStatusError, match="broke off"):
        await case(pair.proxied)
