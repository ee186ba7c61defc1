"""Requests as they arrive: large, compressed, broken, abandoned."""

import asyncio
import gzip
import io
import json

import pytest

from proxy.simulator import arrivals
from proxy.simulator.server import Simulator
from tests.proxy.simulator.conversation import CHAT, MESSAGES, PAYG, VENICE, Conversation

_KEY = {"authorization": f"Bearer {PAYG}"}
_BODY = json.dumps({"model": "acme/mini", "messages": MESSAGES}).encode()


async def test_a_body_of_64_mebibytes_is_read(talk: Conversation) -> None:
    body = b'{"model": "acme/mini", "messages": ["' + b"x" * (64 * 1024 * 1024) + b'"]}'
    url = talk.url + CHAT

    async with talk.session.post(url, data=io.BytesIO(body), headers=_KEY) as response:
        assert response.status == 200
    assert (await talk.last())["usage"]["input"] > 16 * 1024 * 1024


async def test_a_body_above_the_limit_is_refused(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "BODY_BYTES_MAX", 100_000)

    reply = await talk.post(CHAT, {"model": "acme/mini", "messages": ["x" * 1_000_000]})

    assert reply.status == 413


async def test_a_compressed_body_is_read(talk: Conversation) -> None:
    headers = _KEY | {"content-encoding": "gzip"}
    url = talk.url + CHAT

    async with talk.session.post(url, data=gzip.compress(_BODY), headers=headers) as response:
        assert response.status == 200
    assert (await talk.last())["body_bytes"] == len(_BODY)


async def test_a_body_that_is_not_what_its_encoding_says_is_refused(talk: Conversation) -> None:
    headers = _KEY | {"content-encoding": "gzip"}

    async with talk.session.post(talk.url + CHAT, data=_BODY, headers=headers) as response:
        assert response.status == 400


async def test_an_empty_body_is_refused(talk: Conversation) -> None:
    assert (await talk.ask("POST", CHAT)).status == 400


async def test_a_body_that_never_arrives_is_no_call(
    talk: Conversation, simulator: Simulator
) -> None:
    port = int(talk.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{")
    await writer.drain()
    writer.close()
    await reader.read()

    assert (await talk.chat()).status == 200
    assert len(simulator.calls) == 1


async def test_a_client_that_waits_for_leave_to_send_gets_it(talk: Conversation) -> None:
    url = talk.url + CHAT

    async with talk.session.post(url, data=_BODY, headers=_KEY, expect100=True) as response:
        assert response.status == 200


async def test_the_kind_of_the_key_decides_on_the_flavour(talk: Conversation) -> None:
    await talk.chat("zai-org-glm-5-1", key=VENICE)
    await talk.chat(key=VENICE, path="/agipower/v1/chat/completions")

    assert [call["flavour"] for call in await talk.truth()] == ["venice", "agipower"]
