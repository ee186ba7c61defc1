"""Providers' answers and clients' connections by script: what comes, when it breaks, who leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import cast

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.dialects.interface import Reading
from proxy.gateway.call import Passage
from proxy.gateway.client import Client
from proxy.providers.connection import Upstream
from proxy.providers.interface import Target

#: A piece that comes, a fault, or something that happens first.
Step = bytes | BaseException | Callable[[], Awaitable[None]]


class FakeAnswer:
    """What a provider answers, piece by piece; stands in for aiohttp's own."""

    def __init__(
        self,
        *steps: Step,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        content_length: int | None = None,
    ) -> None:
        self.status = status
        self.reason = "OK" if status == 200 else "Not OK"
        self.headers = CIMultiDictProxy(CIMultiDict(headers or {}))
        self.raw_headers = tuple((n.encode(), v.encode()) for n, v in (headers or {}).items())
        self.content_length = content_length
        self.content = self
        #: How it was let go: released, closed.
        self.ends: list[str] = []
        self._steps = list(steps)

    async def readany(self) -> bytes:
        while self._steps:
            step = self._steps.pop(0)
            if isinstance(step, bytes):
                return step
            if isinstance(step, BaseException):
                raise step
            await step()
        return b""

    def release(self) -> None:
        self.ends.append("released")

    def close(self) -> None:
        self.ends.append("closed")

    @property
    def left_over(self) -> int:
        """Steps that nobody asked for."""
        return len(self._steps)

    def as_answer(self) -> aiohttp.ClientResponse:
        return cast("aiohttp.ClientResponse", self)


class FakeUpstream(Upstream):
    """Gives the answers that a test prepared, in order."""

    def __init__(self, *answers: FakeAnswer | BaseException) -> None:
        super().__init__(connect_timeout_s=1, idle_timeout_s=1)
        self._answers = list(answers)
        self.sent: list[tuple[Target, list[tuple[str, str]], bytes | None]] = []

    async def send(
        self, target: Target, headers: list[tuple[str, str]], body: bytes | None
    ) -> aiohttp.ClientResponse:
        self.sent.append((target, headers, body))
        answer = self._answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer.as_answer()


class FakeClient(Client):
    """A client that keeps what it gets, and leaves after so many pieces."""

    def __init__(self, log: list[tuple[object, ...]], *, leaves_after: int | None = None) -> None:
        self.log = log
        self.left = leaves_after == -1
        self.body = b""
        self._leaves_after = leaves_after
        self._pieces = 0

    async def begin(
        self, status: int, reason: str | None, headers: Iterable[tuple[str, str]]
    ) -> None:
        self.log.append(("begin", status, list(headers)))
        self.left = self.left or self._leaves_after == 0

    async def write(self, piece: bytes) -> None:
        if self.left or not piece:
            return
        self.log.append(("write", piece))
        self.body += piece
        self._pieces += 1
        self.left = self._pieces == self._leaves_after

    async def end(self) -> web.StreamResponse:
        self.log.append(("end",))
        return web.StreamResponse()

    def abort(self) -> None:
        self.left = True
        self.log.append(("abort",))


class FakeEnds:
    """Keeps how a call went and how it ended, among whatever else is kept in the same log."""

    def __init__(self, log: list[tuple[object, ...]]) -> None:
        self.log = log
        self.readings: list[Reading] = []
        self.reasons: list[str] = []

    async def seen(self, passage: Passage, generation_id: str) -> None:
        passage.ids_noted = True
        self.log.append(("seen", generation_id))

    async def answered(self, passage: Passage, reading: Reading) -> None:
        self._end(passage, "answered")
        self.readings.append(reading)

    async def unsent(self, passage: Passage, reason: str) -> None:
        self._end(passage, "unsent")
        self.reasons.append(reason)

    async def unanswered(self, passage: Passage, reason: str) -> None:
        self._end(passage, "unanswered")
        self.reasons.append(reason)

    async def refused(self, passage: Passage, status: int, error: str) -> None:
        self._end(passage, "refused")
        self.reasons.append(error)

    def _end(self, passage: Passage, how: str) -> None:
        assert not passage.ended, "a call ends once"
        passage.ended = True
        self.log.append((how,))


async def never() -> None:
    """Wait for what does not come."""
    await asyncio.get_running_loop().create_future()
