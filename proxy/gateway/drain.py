"""Reading an answer to its end, also when its client has gone, then within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from proxy.gateway.client import Client
from proxy.providers.connection import translate


class DrainEnded(Exception):
    """An answer without a client was not read further; what it cost is known in part at best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainLimits:
    """How far answers are read whose clients have gone."""

    calls_max: int
    bytes_max: int
    time_s: float


class Drains:
    """Counts the answers that are read for their usage alone."""

    def __init__(self, limits: DrainLimits) -> None:
        self._limits = limits
        self.running = 0

    async def pieces(self, answer: aiohttp.ClientResponse, client: Client) -> AsyncIterator[bytes]:
        """Yield the answer's pieces as they come.

        Raises:
            MaybeSent: the provider broke off.
            DrainEnded: the client has gone, and a bound of draining was reached.
        """
        with translate():
            while not client.left:
                piece = await answer.content.readany()
                if not piece:
                    return
                yield piece
            if self.running >= self._limits.calls_max:
                raise DrainEnded("the client left, and enough answers are being drained")
            self.running += 1
            try:
                async for piece in self._rest(answer):
                    yield piece
            finally:
                self.running -= 1

    async def _rest(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        deadline = asyncio.get_running_loop().time() + self._limits.time_s
        read = 0
        while read <= self._limits.bytes_max:
            try:
                async with asyncio.timeout_at(deadline):
                    piece = await answer.content.readany()
            except TimeoutError as late:
                raise DrainEnded("the client left, and draining took too long") from late
            if not piece:
                return
            read += len(piece)
            yield piece
        raise DrainEnded("the client left, and too much was left to drain")
