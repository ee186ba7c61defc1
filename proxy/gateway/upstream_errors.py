"""Errors of providers: read within bounds, without our key in them, passed on in full otherwise."""

from __future__ import annotations

from typing import Final

import aiohttp
from aiohttp import web

from proxy.gateway.client import Client
from proxy.providers.connection import MaybeSent, read_chunk
from proxy.providers.headers import answer_headers
from proxy.providers.interface import Target

ERROR_STATUS_MIN: Final = 400
# Errors are short; an endless one is cut here and counts as read.
ERROR_BYTES_MAX: Final = 8 * 1024 * 1024
CREDENTIALS: Final = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key"})
# A shorter one guards nothing, and may well be a word of the message.
KEY_BYTES_MIN: Final = 8


async def read_error(answer: aiohttp.ClientResponse, target: Target) -> tuple[bytes, bool]:
    """Return an error's body, as far as it came, and whether it was cut."""
    body = bytearray()
    try:
        while len(body) < ERROR_BYTES_MAX and (piece := await read_chunk(answer)):
            body += piece
    except MaybeSent:
        return without_keys(bytes(body), target), True
    return without_keys(bytes(body), target), False


async def pass_on_error(
    answer: aiohttp.ClientResponse, body: bytes, client: Client, headers: list[tuple[str, str]]
) -> web.StreamResponse:
    """Send an error to the client as the provider has it."""
    own = [h for h in answer_headers(answer.raw_headers) if h[0].lower() != "content-length"]
    length = ("content-length", str(len(body)))
    await client.begin(answer.status, answer.reason, [*own, *headers, length])
    await client.write(body)
    return await client.end()


def without_keys(body: bytes, target: Target) -> bytes:
    """Return an error's body without the key that was sent: some providers repeat what they refuse."""
    for name, value in target.headers:
        key = value.rpartition(" ")[2].encode()
        if name.lower() in CREDENTIALS and len(key) >= KEY_BYTES_MIN:
            body = body.replace(key, b"***")
    return body
