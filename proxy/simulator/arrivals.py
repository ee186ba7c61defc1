"""One request as it arrived: body, key and what its path asks for."""

from typing import Final

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from proxy.simulator.keys import KeyKind, key_of, kind_of, leaks_client_key
from proxy.simulator.paths import Flavour, Target, understand

#: Above what any of the providers takes; the proxy's own default is 64 MiB.
BODY_BYTES_MAX: Final = 128 * 1024 * 1024


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A request, read and understood."""

    request: BaseRequest
    target: Target
    flavour: Flavour
    key: str
    key_kind: KeyKind
    leaks_client_key: bool
    body: bytes


class Unreadable(Exception):
    """A body that is too large, is not what its encoding says, or never arrives in full."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def receive(request: BaseRequest) -> Arrival:
    """Read a request to its end.

    Raises:
        Unreadable: the body cannot be had.
    """
    try:
        body = await _read(request)
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Unreadable(400, f"The body cannot be read: {error}") from error
    target = understand(request.method, request.raw_path.partition("?")[0])
    key = key_of(request)
    kind = kind_of(key)
    flavour = target.flavour or (Flavour.VENICE if kind.is_venice else Flavour.AGIPOWER)
    return Arrival(
        request=request,
        target=target,
        flavour=flavour,
        key=key,
        key_kind=kind,
        leaks_client_key=leaks_client_key(request),
        body=body,
    )


async def _read(request: BaseRequest) -> bytes:
    """The body, decompressed; `request.read()` would stop at the server's 1 MiB."""
    if not request.can_read_body:
        return b""
    if "expect" in request.headers:
        # A bare `web.Server` leaves this to its handler; curl asks with bodies above 1 MB.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    chunk = await request.content.readany()
    if request.content.at_eof():
        return chunk
    chunks = [chunk]
    size = len(chunk)
    while chunk := await request.content.readany():
        chunks.append(chunk)
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise Unreadable(413, f"The body is larger than {BODY_BYTES_MAX} bytes.")
    return b"".join(chunks)
