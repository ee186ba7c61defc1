"""The only outgoing HTTP: one session, and its faults told apart by whether money may be spent.

Whoever holds a reservation needs to know one thing of a failure: can the provider have begun to
work? `NeverSent` says no, and the reservation is released; `MaybeSent` says perhaps.
"""

from __future__ import annotations

import asyncio
import io
from types import TracebackType
from typing import Final

import aiohttp

from policies.errors import BursarError
from proxy.providers.interface import Target

# Providers close idle connections after a minute or more; on one that they are just closing a call
# is lost, and it cannot be known whether it arrived.
KEEPALIVE_S: Final = 15.0
# Addresses of providers change slowly, and a look-up costs a thread.
DNS_KEPT_S: Final = 60
# Twice of what aiohttp allows: providers send quotas, policies and traces in headers.
HEADER_BYTES_MAX: Final = 16_380
# Above this aiohttp warns that raw bytes are written in one go; a file is written in pieces.
RAW_BODY_BYTES_MAX: Final = 512 * 1024
# What aiohttp raises while it looks for a connection, and never afterwards.
_NOT_REACHED: Final = (
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientConnectorError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)
_BROKEN: Final = (aiohttp.ClientError, OSError)


class UpstreamFailed(BursarError):
    """No whole answer came from the provider."""


class NeverSent(UpstreamFailed):
    """The provider could not be reached: nothing was sent, so nothing can have been billed."""


class MaybeSent(UpstreamFailed):
    """The connection broke after sending began: the provider may be working, and may bill."""


class UpstreamTimeout(MaybeSent):
    """The provider was silent for too long; it may be working, and may bill."""


class AnswerTooLong(MaybeSent):
    """The answer is longer than whoever reads it can use."""


def translated(error: BaseException) -> UpstreamFailed | None:
    """Return what a foreign exception means; None: it is none of the connection's.

    The order matters: a connection that timed out is a time-out to aiohttp as well.
    """
    if isinstance(error, _NOT_REACHED):
        return NeverSent(f"the provider cannot be reached: {_described(error)}")
    if isinstance(error, TimeoutError):
        return UpstreamTimeout("the provider was silent for too long")
    if isinstance(error, _BROKEN):
        return MaybeSent(f"the connection to the provider broke: {_described(error)}")
    return None


def _described(error: BaseException) -> str:
    return str(error) or type(error).__name__


class translate:  # noqa: N801 - It is used like a function: `with translate(): …`.
    """Reading under this raises this module's faults; to be put around reads alone.

    Writing to a client fails with the same exceptions of aiohttp, and is another matter.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise what the exception means."""
        if error is not None and (fault := translated(error)) is not None:
            raise fault from error


async def read_chunk(response: aiohttp.ClientResponse) -> bytes:
    """Return what has arrived of an answer, as it came, or wait for it; empty at the end.

    Raises:
        MaybeSent: the answer was cut; it is closed then.
    """
    try:
        return await response.content.readany()
    except _BROKEN as error:
        response.close()
        raise translated(error) or error from error


async def read_whole(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """Return an answer's body, all of it; aiohttp's `read(n)` returns what has arrived so far.

    Raises:
        AnswerTooLong: it is longer than that; the answer is closed then.
        MaybeSent: it was cut; the answer is closed then.
    """
    body = bytearray()
    while piece := await read_chunk(response):
        body += piece
        if len(body) > bytes_max:
            response.close()
            raise AnswerTooLong(f"the answer is longer than {bytes_max} bytes")
    return bytes(body)


class Upstream:
    """Sends requests to providers. Open it in the loop that uses it; close it at the end."""

    def __init__(
        self, connect_timeout_s: float, idle_timeout_s: float, connections_max: int = 0
    ) -> None:
        """Take the limits.

        Args:
            connect_timeout_s: for name, connection and TLS together, and for a free connection.
            idle_timeout_s: for the next byte of an answer.
            connections_max: over all providers; 0 for no limit, as calls are limited before.
        """
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=connect_timeout_s, sock_read=idle_timeout_s
        )
        # A provider that takes a request byte by byte must not hold it for ever either.
        self._upload_timeout_s = connect_timeout_s + 2 * idle_timeout_s
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready to send."""
        connector = aiohttp.TCPConnector(
            limit=self._connections_max,
            limit_per_host=0,
            keepalive_timeout=KEEPALIVE_S,
            ttl_dns_cache=DNS_KEPT_S,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self, target: Target, headers: list[tuple[str, str]], body: bytes | None
    ) -> aiohttp.ClientResponse:
        """Send a request; return its answer as soon as the head of it is there.

        The body is neither read nor decompressed. The caller ends it: `release()` when it was read
        to the end, `close()` to hang up.

        Raises:
            NeverSent: nothing reached the provider.
            MaybeSent: something may have.
        """
        session = self._session
        if session is None:
            raise NeverSent("the proxy is not connected: it starts or stops")
        try:
            if body is not None and len(body) > RAW_BODY_BYTES_MAX:
                async with asyncio.timeout(self._upload_timeout_s):
                    return await self._request(session, target, headers, io.BytesIO(body))
            return await self._request(session, target, headers, body)
        except _BROKEN as error:
            raise translated(error) or error from error

    async def _request(
        self,
        session: aiohttp.ClientSession,
        target: Target,
        headers: list[tuple[str, str]],
        body: bytes | io.BytesIO | None,
    ) -> aiohttp.ClientResponse:
        return await session.request(
            target.method, target.url, headers=headers, data=body, allow_redirects=False
        )
