"""Embeddings."""

import base64
import struct

import openai

from tests.proxy.simulator.conversation import PAYG, Conversation

_MODEL = "openai/text-embedding-3-small"


async def test_the_sdk_reads_embeddings(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/api/v1", api_key=PAYG) as client:
        answer = await client.embeddings.create(model=_MODEL, input=["a", "b"], dimensions=4)

    assert [row.embedding for row in answer.data] == [[-0.5, 0.5, -0.5, 0.5]] * 2
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0


async def test_base64_holds_the_same_floats(talk: Conversation) -> None:
    body = {"model": _MODEL, "input": [1, 2, 3], "dimensions": 4}

    plain = (await talk.post("/v1/embeddings", body)).document["data"]
    packed = (await talk.post("/v1/embeddings", body | {"encoding_format": "base64"})).document

    vector = struct.unpack("<4f", base64.b64decode(packed["data"][0]["embedding"]))
    assert len(plain) == len(packed["data"]) == 1
    assert list(vector) == plain[0]["embedding"]


async def test_an_embedding_is_billed_by_its_input_alone(talk: Conversation) -> None:
    await talk.scene({"usage": {"input": 1_000}})

    await talk.post("/v1/embeddings", {"model": _MODEL, "input": "x"})

    call = await talk.last()
    assert call["billed_nano_usd"] == 20_000
    assert call["usage"]["output"] == 0


async def test_a_body_without_input_is_refused(talk: Conversation) -> None:
    assert (await talk.post("/v1/embeddings", {"model": _MODEL})).status == 400
