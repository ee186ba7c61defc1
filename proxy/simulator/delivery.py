"""How an answer travels: at once or in pieces, slowly, compressed, cut, or not at all."""

import asyncio
from enum import Enum, auto
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from proxy.simulator.compression import codec
from proxy.simulator.paths import Flavour
from proxy.simulator.provider import Provider
from proxy.simulator.scenario import Scenario
from proxy.simulator.truth import Call

#: How often a waiting answer looks whether its client is still there.
_WATCH_S: Final = 0.02
#: Turns of the event loop that a cut waits for the bytes before it to leave.
_FLUSH_TURNS_MAX: Final = 10_000
_COMMENTS: Final = {
    Flavour.AGIPOWER: b": ZENMUX PROCESSING\n\n",
    Flavour.OPENROUTER: b": OPENROUTER PROCESSING\n\n",
}
_PLAIN_COMMENT: Final = b": keep-alive\n\n"


class Ending(Enum):
    """How the body of an answer ends."""

    CLEAN = auto()
    EARLY = auto()
    ERROR = auto()
    CUT = auto()
    STALL = auto()


class Parcel(msgspec.Struct, frozen=True):
    """What is written, piece by piece, and what happens then."""

    pieces: list[bytes]
    ending: Ending
    events: int


def wrap(events: list[bytes], scenario: Scenario, *, error: list[bytes], comment: bytes) -> Parcel:
    """Lay out a stream as the scenario wants it; decides only, writes nothing."""
    ending = Ending.CLEAN
    if scenario.cut_after_events is not None:
        events, ending = events[: scenario.cut_after_events], Ending.CUT
    elif scenario.end_early_after_events is not None:
        events, ending = events[: scenario.end_early_after_events], Ending.EARLY
    elif scenario.error_after_events is not None:
        events, ending = events[: scenario.error_after_events] + error, Ending.ERROR
    elif scenario.stall_after_events is not None:
        events, ending = events[: scenario.stall_after_events], Ending.STALL
    number = len(events)
    if scenario.comment_every is not None and comment:
        events = [
            piece
            for position, event in enumerate(events)
            for piece in ((comment, event) if position % scenario.comment_every == 0 else (event,))
        ]
    if scenario.cut_after_bytes is not None:
        events, ending = [b"".join(events)[: scenario.cut_after_bytes]], Ending.CUT
    if scenario.split_bytes is not None:
        events = _split(b"".join(events), scenario.split_bytes)
    return Parcel(events, ending, number)


def _split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def comment_of(flavour: Flavour) -> bytes:
    """The keep-alive comment of a provider."""
    return _COMMENTS.get(flavour, _PLAIN_COMMENT)


def has_left(request: BaseRequest) -> bool:
    """Whether the client has closed its connection."""
    transport = request.transport
    return transport is None or transport.is_closing()


async def pause(provider: Provider, request: BaseRequest, seconds: float) -> None:
    """Wait, but not for a client that is gone."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not provider.is_stopping and not has_left(request):
        left_s = end - loop.time()
        if left_s <= 0:
            return
        await asyncio.sleep(min(left_s, _WATCH_S))


async def wait_until_left(provider: Provider, request: BaseRequest) -> None:
    """Wait for the client to give up, or for the simulator to stop."""
    while not provider.is_stopping and not has_left(request):  # noqa: ASYNC110  # No event exists.
        await asyncio.sleep(_WATCH_S)


async def abort(request: BaseRequest) -> None:
    """Cut the connection after what was written has left."""
    transport = request.transport
    if transport is None:
        return
    for _ in range(_FLUSH_TURNS_MAX):
        await asyncio.sleep(0)
        if transport.is_closing() or transport.get_write_buffer_size() == 0:
            break
    await asyncio.sleep(0)
    transport.abort()


async def send_body(
    provider: Provider, request: BaseRequest, call: Call, body: bytes, headers: dict[str, str]
) -> web.StreamResponse:
    """Send an answer that is one piece."""
    scenario = call.scenario
    await _wait_for_first_byte(provider, request, scenario)
    if scenario.compress is not None:
        encoder = codec(scenario.compress)
        body = encoder.piece(body) + encoder.end()
        headers["content-encoding"] = scenario.compress
    cut_at = scenario.cut_after_bytes
    if cut_at is None and scenario.cut_after_events is not None:
        cut_at = len(body) // 2
    if cut_at is None:
        call.client_left = has_left(request)
        return web.Response(body=body, headers=headers, status=call.status)
    response = web.StreamResponse(status=call.status, headers=headers)
    response.content_length = len(body)
    call.cut = True
    await _write_all(provider, request, call, response, Parcel([body[:cut_at]], Ending.CUT, 0))
    return response


async def send_stream(
    provider: Provider, request: BaseRequest, call: Call, parcel: Parcel, headers: dict[str, str]
) -> web.StreamResponse:
    """Send an answer event by event."""
    scenario = call.scenario
    await _wait_for_first_byte(provider, request, scenario)
    if scenario.compress is not None:
        headers["content-encoding"] = scenario.compress
    response = web.StreamResponse(status=call.status, headers=headers)
    call.events = parcel.events
    call.cut = parcel.ending == Ending.CUT
    call.ended_early = parcel.ending == Ending.EARLY
    call.failed_in_stream = parcel.ending == Ending.ERROR
    await _write_all(provider, request, call, response, parcel)
    return response


async def _wait_for_first_byte(
    provider: Provider, request: BaseRequest, scenario: Scenario
) -> None:
    if scenario.first_byte_delay_ms:
        await pause(provider, request, scenario.first_byte_delay_ms / 1_000)


async def _write_all(
    provider: Provider,
    request: BaseRequest,
    call: Call,
    response: web.StreamResponse,
    parcel: Parcel,
) -> None:
    """Write the pieces and end as told; a client that leaves is noted, not an error."""
    try:
        await response.prepare(request)
        await _write_pieces(provider, request, call, response, parcel)
        if parcel.ending == Ending.CUT:
            await abort(request)
        elif parcel.ending == Ending.STALL:
            await wait_until_left(provider, request)
            call.client_left = has_left(request)
        else:
            await response.write_eof()
    except ConnectionError:
        call.client_left = True
    except asyncio.CancelledError:
        call.client_left = True
        raise


async def _write_pieces(
    provider: Provider,
    request: BaseRequest,
    call: Call,
    response: web.StreamResponse,
    parcel: Parcel,
) -> None:
    scenario = call.scenario
    encoder = None
    if scenario.compress is not None and response.content_length is None:
        encoder = codec(scenario.compress)
    for position, piece in enumerate(parcel.pieces):
        if position and scenario.chunk_delay_ms:
            await pause(provider, request, scenario.chunk_delay_ms / 1_000)
        await response.write(encoder.piece(piece) if encoder else piece)
    if encoder is not None and parcel.ending not in {Ending.CUT, Ending.STALL}:
        await response.write(encoder.end())
