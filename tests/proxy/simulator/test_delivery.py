"""How answers travel, and how they fail to arrive."""

import asyncio
import json

import aiohttp
import msgspec
import pytest
from aiohttp import web

from proxy.simulator.delivery import Ending, comment_of, wrap
from proxy.simulator.paths import Flavour
from proxy.simulator.scenario import Scenario
from proxy.simulator.server import Simulator
from proxy.simulator.truth import Call
from tests.proxy.simulator.conversation import CHAT, MESSAGES, PAYG, Conversation, HandClock

_EVENTS = [b"one", b"two", b"three"]
_BODY = {"model": "acme/mini", "messages": MESSAGES}
_STREAM = _BODY | {"stream": True}
_KEY = {"authorization": f"Bearer {PAYG}"}


@pytest.mark.parametrize(
    ("fields", "pieces", "ending"),
    [
        ({}, _EVENTS, Ending.CLEAN),
        ({"cut_after_events": 1}, [b"one"], Ending.CUT),
        ({"end_early_after_events": 2}, [b"one", b"two"], Ending.EARLY),
        ({"error_after_events": 1}, [b"one", b"error"], Ending.ERROR),
        ({"stall_after_events": 0}, [], Ending.STALL),
        ({"cut_after_bytes": 4}, [b"onet"], Ending.CUT),
        ({"split_bytes": 5}, [b"onetw", b"othre", b"e"], Ending.CLEAN),
        ({"comment_every": 2}, [b":", b"one", b"two", b":", b"three"], Ending.CLEAN),
    ],
)
def test_a_stream_is_laid_out_as_told(
    fields: dict[str, int], pieces: list[bytes], ending: Ending
) -> None:
    scenario = msgspec.convert(fields, Scenario)

    parcel = wrap(_EVENTS, scenario, error=[b"error"], comment=b":")

    assert (parcel.pieces, parcel.ending) == (pieces, ending)


def test_each_provider_has_its_own_sign_of_life() -> None:
    assert comment_of(Flavour.AGIPOWER) == b": ZENMUX PROCESSING\n\n"
    assert comment_of(Flavour.OPENAI).startswith(b":")


@pytest.mark.parametrize("fields", [{"cut_after_events": 3}, {"cut_after_bytes": 300}])
async def test_a_cut_stream_breaks_off_and_is_billed_in_full(
    talk: Conversation, fields: dict[str, int]
) -> None:
    await talk.scene(fields)

    received = await _read_until_cut(talk)

    call = await talk.last()
    assert received.count(b"data: ") == 3 or len(received) == 300
    assert call["cut"]
    assert call["usage"]["output"] == 64
    assert call["billed_nano_usd"] == call["listed_nano_usd"] > 0


async def _read_until_cut(talk: Conversation) -> bytes:
    received = b""
    async with talk.session.post(talk.url + CHAT, json=_STREAM, headers=_KEY) as response:
        try:
            async for chunk in response.content.iter_any():
                received += chunk
        except aiohttp.ClientPayloadError:
            return received
    pytest.fail("the stream was not cut")


async def test_a_cut_answer_without_a_stream_breaks_off_in_the_middle(talk: Conversation) -> None:
    await talk.scene({"cut_after_events": 1})

    with pytest.raises(aiohttp.ClientPayloadError):
        await talk.chat()

    assert (await talk.last())["cut"]


async def test_an_early_end_is_clean(talk: Conversation) -> None:
    await talk.scene({"end_early_after_events": 2})

    reply = await talk.chat(stream=True)

    assert len(reply.events) == 2
    assert (await talk.last())["ended_early"]


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        (CHAT, _STREAM, b'data: {"error":'),
        ("/v1/messages", _STREAM | {"max_tokens": 9}, b"event: error\n"),
        ("/v1/responses", {"model": "acme/mini", "stream": True}, b"event: error\n"),
    ],
)
async def test_an_error_within_a_stream_has_the_dialects_form(
    talk: Conversation, path: str, body: dict[str, object], name: bytes
) -> None:
    await talk.scene({"error_after_events": 2, "error": {"message": "Overloaded"}})

    reply = await talk.post(path, body)

    assert name in reply.body
    assert b"Overloaded" in reply.body
    assert (await talk.last())["failed_in_stream"]


async def test_a_client_that_leaves_is_noted_and_billed(
    talk: Conversation, simulator: Simulator
) -> None:
    await talk.scene({"stall_after_events": 2})
    call = await _start_and_leave(talk, simulator)

    await _finished(talk)

    assert call.client_left
    assert call.billed_nano_usd == call.listed_nano_usd > 0


async def test_a_client_that_leaves_between_slow_chunks_is_noted(
    talk: Conversation, simulator: Simulator
) -> None:
    await talk.scene({"chunk_delay_ms": 40, "chunks": 500})
    call = await _start_and_leave(talk, simulator)

    await _finished(talk)

    assert call.client_left


@pytest.mark.parametrize("fields", [{"stall_after_events": 2}, {"hang": True}])
@pytest.mark.parametrize("handler_cancellation", [False, True])
async def test_it_is_noted_whether_or_not_the_server_cancels_handlers(
    clock: HandClock, fields: dict[str, object], handler_cancellation: bool
) -> None:
    simulator = Simulator(clock=clock)
    simulator.add_scenario(**fields)
    server = web.Server(simulator.handler, handler_cancellation=handler_cancellation)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]

    _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-api-key: {PAYG}\r\n"
    body = json.dumps(_STREAM)
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
    async with aiohttp.ClientSession() as session:
        talk = Conversation(session, f"http://127.0.0.1:{port}")
        await _arrived(talk, simulator)
        writer.close()
        await _finished(talk)
    await runner.cleanup()

    assert simulator.calls[-1].client_left
    assert simulator.calls[-1].billed_nano_usd > 0


async def test_a_call_that_hangs_is_billed_when_its_client_gives_up(
    talk: Conversation, simulator: Simulator
) -> None:
    await talk.scene({"hang": True})

    with pytest.raises(asyncio.TimeoutError):
        async with asyncio.timeout(0.1):
            await talk.chat()
    await _finished(talk)

    assert simulator.calls[-1].client_left
    assert simulator.calls[-1].billed_nano_usd > 0


async def _start_and_leave(talk: Conversation, simulator: Simulator) -> Call:
    """Read the first bytes of a stream, then close the connection."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(talk.url + CHAT, json=_STREAM, headers=_KEY) as response,
    ):
        await response.content.readany()
        call = simulator.calls[-1]
        assert call.finished_at is None
    return call


async def _arrived(talk: Conversation, simulator: Simulator) -> None:
    """Wait until the first call is there."""
    async with asyncio.timeout(10):
        while not simulator.calls:
            await talk.get("/simulator/calls?summary=1")


async def _finished(talk: Conversation) -> None:
    """Wait until no call is in flight any more."""
    async with asyncio.timeout(10):
        while (await talk.get("/simulator/calls?summary=1")).document["totals"]["in_flight"]:
            pass


async def test_a_stop_lets_hanging_calls_go(talk: Conversation, simulator: Simulator) -> None:
    await talk.scene({"hang": True})
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(talk.chat())
        await _arrived(talk, simulator)
        await simulator.stop()

    assert hanging.result().status == 504


async def test_delays_hold_an_answer_back(talk: Conversation) -> None:
    loop = asyncio.get_running_loop()
    await talk.scene({"first_byte_delay_ms": 30, "chunk_delay_ms": 10, "chunks": 3})
    start = loop.time()

    reply = await talk.chat(stream=True)

    assert len(reply.events) == 5
    assert loop.time() - start >= 0.08


# Not zstd: this client cannot decode it. test_compression.py does.
@pytest.mark.parametrize("compress", ["gzip", "deflate", "br"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_compressed_answer_decodes_to_the_plain_one(
    talk: Conversation, compress: str, streamed: bool
) -> None:
    plain = await talk.chat(stream=streamed)
    await talk.scene({"compress": compress})

    packed = await talk.chat(stream=streamed)

    assert packed.headers["content-encoding"] == compress
    assert len(packed.body) == len(plain.body)


async def test_comments_keep_a_stream_alive(talk: Conversation) -> None:
    await talk.scene({"comment_every": 3})

    reply = await talk.chat(stream=True)

    assert reply.body.startswith(b": ZENMUX PROCESSING\n\n")
    assert reply.body.count(b": ZENMUX") == 4


async def test_pieces_may_split_events_and_letters(talk: Conversation) -> None:
    await talk.scene({"split_bytes": 7})

    reply = await talk.chat(stream=True)

    text = "".join(event["choices"][0]["delta"].get("content", "") for event in reply.events)
    assert len(text.split()) == 64


async def test_streams_in_parallel_are_all_complete(talk: Conversation) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(talk.chat(stream=True)) for _ in range(200)]

    assert all(task.result().body.endswith(b"data: [DONE]\n\n") for task in tasks)
    assert len({task.result().events[0]["id"] for task in tasks}) == 200
    assert len(await talk.truth()) == 200


async def test_an_array_can_be_cut_too(talk: Conversation) -> None:
    await talk.scene({"end_early_after_events": 1})
    path = "/v1beta/models/gemini-2.5-pro:streamGenerateContent"

    reply = await talk.post(path, {"contents": []})

    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)
