"""generateContent, as the Google SDK and the documents have it."""

import json

import pytest
from google import genai
from google.genai import types

from proxy.simulator.generate_content import model_name
from proxy.simulator.paths import Flavour
from tests.proxy.simulator.conversation import CONTENTS, PAYG, Conversation

# The SDK derives a class from aiohttp's session, which aiohttp advises against.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")

_MODEL = "/api/vertex-ai/v1/publishers/google/models/gemini-2.5-pro"
_BODY = {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": 5}}
_USAGE = {"input": 1_000, "cache_read": 200, "output": 26, "reasoning": 64}


def _client(url: str) -> genai.Client:
    options = types.HttpOptions(base_url=url)
    return genai.Client(api_key=PAYG, http_options=options)


async def test_the_sdk_reads_an_answer(url: str) -> None:
    async with _client(f"{url}/google").aio as client:
        answer = await client.models.generate_content(
            model="gemini-2.5-pro",
            contents="Hi",
            config=types.GenerateContentConfig(max_output_tokens=5),
        )

    assert answer.text == "budgets are kept word by"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.candidates_token_count == 5


async def test_the_sdk_reads_a_stream(url: str) -> None:
    async with _client(f"{url}/google").aio as client:
        stream = await client.models.generate_content_stream(
            model="gemini-2.5-pro",
            contents="Hi",
            config=types.GenerateContentConfig(max_output_tokens=5),
        )
        chunks = [chunk async for chunk in stream]

    assert "".join(chunk.text or "" for chunk in chunks) == "budgets are kept word by"
    assert chunks[-1].usage_metadata is not None
    assert chunks[-1].usage_metadata.candidates_token_count == 5


async def test_thoughts_stand_beside_the_candidates(talk: Conversation) -> None:
    await talk.scene({"usage": _USAGE | {"cache_write_5m": 3, "web_searches": 2}})

    answer = (await talk.post(f"{_MODEL}:generateContent", _BODY)).document

    usage = answer["usageMetadata"]
    assert usage["promptTokenCount"] == 1_203
    assert usage["cachedContentTokenCount"] == 200
    assert (usage["candidatesTokenCount"], usage["thoughtsTokenCount"]) == (26, 64)
    assert usage["totalTokenCount"] == 1_203 + 26 + 64
    assert answer["modelVersion"] == "google/gemini-2.5-pro"
    assert len(answer["candidates"][0]["groundingMetadata"]["webSearchQueries"]) == 2
    assert (await talk.last())["usage"]["input"] == 1_003


async def test_the_usage_of_a_stream_is_cumulative(talk: Conversation) -> None:
    await talk.scene({"usage": _USAGE})

    reply = await talk.post(f"{_MODEL}:streamGenerateContent?alt=sse", _BODY)

    counts = [event["usageMetadata"].get("candidatesTokenCount", 0) for event in reply.events]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 26)
    assert reply.body.endswith(b"}\r\n\r\n")
    assert len({event["responseId"] for event in reply.events}) == 1


async def test_without_sse_the_stream_is_one_array(talk: Conversation) -> None:
    reply = await talk.post(f"{_MODEL}:streamGenerateContent", _BODY)

    parts = json.loads(reply.body)
    assert reply.headers["content-type"] == "application/json"
    assert b"\n,\r\n" in reply.body
    assert parts[-1]["candidates"][0]["finishReason"] == "STOP"
    assert parts[-1]["usageMetadata"]["candidatesTokenCount"] == 5


async def test_an_error_within_an_array_leaves_it_valid(talk: Conversation) -> None:
    await talk.scene({"error_after_events": 2, "times": 1}, {"error_after_events": 0})

    later = json.loads((await talk.post(f"{_MODEL}:streamGenerateContent", _BODY)).body)
    first = json.loads((await talk.post(f"{_MODEL}:streamGenerateContent", _BODY)).body)

    assert len(later) == 3
    assert later[-1]["error"]["status"] == first[0]["error"]["status"] == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("quirk", "before", "last"),
    [("zeros_until_last_chunk", 0, 1_200), ("usage_only_chunk", 1_200, 1_200)],
)
async def test_usage_may_come_late(talk: Conversation, quirk: str, before: int, last: int) -> None:
    await talk.scene({"usage": _USAGE, "quirks": [quirk]})

    events = (await talk.post(f"{_MODEL}:streamGenerateContent?alt=sse", _BODY)).events

    assert events[0]["usageMetadata"]["promptTokenCount"] == before
    assert events[-1]["usageMetadata"]["promptTokenCount"] == last
    assert ("candidates" in events[-1]) is (quirk == "zeros_until_last_chunk")


async def test_all_candidates_are_billed(talk: Conversation) -> None:
    body = _BODY | {"generationConfig": {"maxOutputTokens": 5, "candidateCount": 2}}

    whole = await talk.post(f"{_MODEL}:generateContent", body)
    await talk.post(f"{_MODEL}:streamGenerateContent?alt=sse", body)

    assert len(whole.document["candidates"]) == 2
    assert [call["usage"]["output"] for call in await talk.truth()] == [10, 10]


async def test_a_body_without_contents_is_refused(talk: Conversation) -> None:
    reply = await talk.post("/google/v1beta/models/gemini-2.5-pro:generateContent", {})

    assert reply.status == 400
    assert reply.document["error"]["status"] == "INVALID_ARGUMENT"


def test_google_itself_names_a_model_without_its_owner() -> None:
    assert model_name("google/gemini-2.5-pro", Flavour.AGIPOWER) == "google/gemini-2.5-pro"
    assert model_name("google/gemini-2.5-pro", Flavour.GOOGLE) == "gemini-2.5-pro"
