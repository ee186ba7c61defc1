"""Google's own Python SDK, for Gemini and for Vertex: the proxy changes nothing of its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from pydantic import BaseModel

from tests.sdks.pair import OUTPUT_LIMIT, PATIENCE_S, PROMPT, Case, Pair, Side

# The SDK's own way with aiohttp, which aiohttp warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")

MODEL: Final = "gemini-3.8-flash"
CONFIG: Final = types.GenerateContentConfig(max_output_tokens=OUTPUT_LIMIT)
#: What an SDK made, without the headers of HTTP: the proxy adds some of its own.
WITHOUT: Final = {"sdk_http_response"}

Connect = Callable[[Side], genai.Client]


def _options(side: Side, **more: Any) -> types.HttpOptions:
    return types.HttpOptions(base_url=side.url, timeout=int(PATIENCE_S * 1_000), **more)


def _gemini(side: Side) -> genai.Client:
    return genai.Client(api_key=side.key, http_options=_options(side))


def _gemini_beta(side: Side) -> genai.Client:
    options = _options(side, api_version="v1beta")
    return genai.Client(api_key=side.key, http_options=options)


def _vertex_key(side: Side) -> genai.Client:
    options = _options(side)
    return genai.Client(vertexai=True, api_key=side.key, http_options=options)


def _vertex_project(side: Side) -> genai.Client:
    """A Vertex client that signs with whatever token it is given: here the caller's key."""
    return genai.Client(
        vertexai=True,
        project="some-project",
        location="us-central1",
        credentials=Credentials(token=side.key),  # type: ignore[no-untyped-call] # No types there.
        http_options=_options(side),
    )


def _dump(made: Iterable[BaseModel]) -> object:
    return [each.model_dump(exclude=WITHOUT) for each in made]


def _generate(client: genai.Client) -> object:
    return _dump([client.models.generate_content(model=MODEL, contents=PROMPT, config=CONFIG)])


def _stream(client: genai.Client) -> object:
    return _dump(client.models.generate_content_stream(model=MODEL, contents=PROMPT, config=CONFIG))


def _count(client: genai.Client) -> object:
    return _dump([client.models.count_tokens(model=MODEL, contents=PROMPT)])


def _with_client(use: Callable[[genai.Client], object], connect: Connect) -> Case:
    def ask(side: Side) -> object:
        with connect(side) as client:
            return use(client)

    return lambda side: asyncio.to_thread(ask, side)


async def _generate_async(side: Side) -> object:
    with _gemini(side) as client:
        async with client.aio as aio:
            answer = await aio.models.generate_content(model=MODEL, contents=PROMPT, config=CONFIG)
        return _dump([answer])


async def _stream_async(side: Side) -> object:
    with _vertex_project(side) as client:
        async with client.aio as aio:
            stream = await aio.models.generate_content_stream(
                model=MODEL, contents=PROMPT, config=CONFIG
            )
            return _dump([chunk async for chunk in stream])


CONNECTS: Final = {
    "gemini": _gemini,
    "gemini_beta": _gemini_beta,
    "vertex_key": _vertex_key,
    "vertex_project": _vertex_project,
}
METERED = {
    **{f"generate_{name}": _with_client(_generate, way) for name, way in CONNECTS.items()},
    **{f"stream_{name}": _with_client(_stream, way) for name, way in CONNECTS.items()},
    "generate_async": _generate_async,
    "stream_async": _stream_async,
}

metered = pytest.mark.parametrize("case", METERED.values(), ids=METERED.keys())
each_way = pytest.mark.parametrize("name", ["generate_gemini", "stream_vertex_project"])
connected = pytest.mark.parametrize("connect", CONNECTS.values(), ids=CONNECTS.keys())


@metered
async def test_the_answer_is_the_same_and_booked_as_billed(pair: Pair, case: Case) -> None:
    straight, through = await pair.ask_both(case)

    assert through == straight
    assert len(pair.truth.calls) == 1
    assert await pair.books() == pair.truth


@connected
async def test_counting_tokens_passes_and_is_not_booked(pair: Pair, connect: Connect) -> None:
    straight, through = await pair.ask_both(_with_client(_count, connect))

    assert through == straight
    assert await pair.books() == pair.truth
    assert pair.truth.calls == []


@metered
async def test_a_refusal_is_one_request_and_its_error_names_the_budget(
    pair: Pair, case: Case
) -> None:
    with pytest.raises(errors.ClientError, match="empty-purse") as raised:
        await case(pair.poor)

    assert (raised.value.code, raised.value.status) == (402, "RESOURCE_EXHAUSTED")
    assert len(pair.proxied_wire.take()) == 1
    assert pair.bursar.simulator.calls == []


@each_way
async def test_an_unknown_key_is_one_request_and_an_authentication_error(
    pair: Pair, name: str
) -> None:
    with pytest.raises(errors.ClientError) as raised:
        await METERED[name](pair.stranger)

    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")
    assert len(pair.proxied_wire.take()) == 1
    assert pair.bursar.simulator.calls == []


@pytest.mark.parametrize("use", [_generate, _stream])
async def test_a_rate_is_told_apart_and_says_when_to_come_back(
    pair: Pair, use: Callable[[genai.Client], object]
) -> None:
    case = _with_client(use, _gemini)
    await case(pair.hasty)

    with pytest.raises(errors.ClientError, match="one-a-minute") as raised:
        await case(pair.hasty)

    assert (raised.value.code, raised.value.status) == (429, "RESOURCE_EXHAUSTED")
    _, refused = pair.proxied_wire.take()
    assert 1 <= int(refused.answer.headers["retry-after"]) <= 61


async def test_a_refusal_is_not_tried_again_even_where_the_client_asked_for_retries(
    pair: Pair,
) -> None:
    def connect(side: Side) -> genai.Client:
        retries = types.HttpRetryOptions(attempts=3)
        options = _options(side, retry_options=retries)
        return genai.Client(api_key=side.key, http_options=options)

    with pytest.raises(errors.ClientError, match="empty-purse"):
        await _with_client(_generate, connect)(pair.poor)

    assert len(pair.proxied_wire.take()) == 1


async def test_a_vertex_client_that_names_no_model_is_told_what_to_set(pair: Pair) -> None:
    def connect(side: Side) -> genai.Client:
        options = _options(side, headers={"x-goog-api-key": side.key})
        return genai.Client(vertexai=True, http_options=options)

    with pytest.raises(errors.ClientError, match="project and a location") as raised:
        await _with_client(_generate, connect)(pair.proxied)

    assert (raised.value.code, raised.value.status) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("name", ["stream_gemini", "stream_async"])
async def test_a_stream_that_the_provider_cuts_is_an_error(pair: Pair, name: str) -> None:
    pair.bursar.scenario(match={"dialect": "generate_content"}, cut_after_events=3)

    with pytest.raises(errors.APIError, match="broke off"):
        await METERED[name](pair.proxied)
