"""Forwarding: what goes out, what comes back, and how each way that it can go wrong is booked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Refusal, Ticket
from proxy.gateway.drain import DrainLimits, Drains
from proxy.gateway.forward import ERROR_BYTES_NOTED, Forwarder
from proxy.gateway.meter import meter_answer
from proxy.gateway.upstream_errors import ERROR_BYTES_MAX
from proxy.providers.connection import MaybeSent, NeverSent, UpstreamTimeout
from tests.doubles.calls import quoted, ticket
from tests.doubles.fake_upstream import FakeAnswer, FakeEnds, FakeUpstream, never
from tests.doubles.raw_http import RawClient, connected
from tests.doubles.recorders import Recorder
from tests.doubles.serving import serving

BODY = b'{"id":"c","usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}'
OWN = [("x-bursar-call-id", "call_a")]
GET = b"POST / HTTP/1.1\r\nHost: x\r\nX-Api-Key: bsr_own\r\nX-Keep: 1\r\n\r\n"


class Rig:
    """A forwarder between a client and a scripted provider."""

    def __init__(self, answer: FakeAnswer | BaseException) -> None:
        self.log: list[tuple[object, ...]] = []
        self.upstream = FakeUpstream(answer)
        self.ends = FakeEnds(self.log)
        self.recorder = Recorder()
        self.results: list[web.StreamResponse | Refusal | Exception] = []
        self.raw: RawClient | None = None
        self.work: asyncio.Future[web.StreamResponse | Refusal] | None = None
        self.forwarder = Forwarder(
            upstream=self.upstream,
            meter_answer=meter_answer,
            ends=self.ends,
            drains=Drains(DrainLimits(calls_max=9, bytes_max=10_000, time_s=9)),
            observer=self.recorder,
        )

    @asynccontextmanager
    async def client(self, admitted: Ticket | None = None) -> AsyncIterator[RawClient]:
        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            self.work = asyncio.ensure_future(
                self.forwarder.forward(admitted or ticket(), request, OWN)
            )
            try:
                found = await self.work
            except asyncio.CancelledError:
                assert request.transport is not None
                request.transport.abort()
                raise
            except Exception as fault:
                self.results.append(fault)
                raise
            self.results.append(found)
            return web.Response(status=299) if isinstance(found, Refusal) else found

        async with serving(handler) as url, connected(url) as raw:
            self.raw = raw
            await raw.send(GET)
            yield raw

    async def refusal(self) -> Refusal:
        async with self.client() as raw:
            assert (await raw.answer()).status == 299
        (found,) = self.results
        assert isinstance(found, Refusal)
        return found

    @property
    def how(self) -> list[object]:
        return [event[0] for event in self.log]


async def test_a_call_goes_out_with_our_key_and_comes_back_with_our_headers() -> None:
    rig = Rig(FakeAnswer(BODY, headers={"x-up": "1"}, content_length=len(BODY)))

    async with rig.client() as raw:
        answer = await raw.answer()

    ((target, headers, sent),) = rig.upstream.sent
    assert str(target.url) == "http://fake.test/chat_completions"
    names = {name.lower(): value for name, value in headers}
    assert names["authorization"] == "Bearer sk-fake"
    assert names["x-keep"] == "1"
    assert "x-api-key" not in names
    assert sent == quoted().body
    assert (answer.status, answer.body) == (200, BODY)
    assert (answer.headers["x-up"], answer.headers["x-bursar-call-id"]) == ("1", "call_a")
    assert rig.how == ["answered"]
    assert ("upstream_answered", "fake", 200) in rig.recorder.events


# No answer…


@pytest.mark.parametrize(
    ("fault", "how", "status", "kind"),
    [
        (NeverSent("no route"), "unsent", 502, ErrorKind.UPSTREAM_UNREACHABLE),
        (MaybeSent("reset"), "unanswered", 502, ErrorKind.UPSTREAM_CUT),
        (UpstreamTimeout("silent"), "unanswered", 504, ErrorKind.UPSTREAM_TIMEOUT),
    ],
    ids=str,
)
async def test_no_answer_is_told_and_booked_by_whether_the_call_may_have_arrived(
    fault: BaseException, how: str, status: int, kind: ErrorKind
) -> None:
    rig = Rig(fault)

    refusal = await rig.refusal()

    assert (refusal.status, refusal.kind) == (status, kind)
    assert "provider 'fake'" in refusal.message
    assert rig.how == [how]
    assert rig.ends.reasons == [str(fault)]


async def test_a_fault_of_ours_may_have_cost_money() -> None:
    rig = Rig(RuntimeError("a mistake"))

    async with rig.client() as raw:
        await raw.answer()

    assert rig.how == ["unanswered"]
    assert rig.ends.reasons == ["the proxy broke off"]
    assert isinstance(rig.results[0], RuntimeError)


async def test_the_end_of_the_process_may_have_cost_money() -> None:
    rig = Rig(FakeAnswer(b"half", never))

    async with rig.client() as raw:
        await raw.head()
        assert rig.work is not None
        rig.work.cancel()
        await raw.end()

    assert rig.how == ["unanswered"]


# Errors…


ERROR = b'{"error":{"message":"no credit"}}'


@pytest.mark.parametrize("status", [400, 402, 429, 500, 529])
async def test_an_error_is_passed_on_whole_and_booked_as_a_refusal(status: int) -> None:
    rig = Rig(FakeAnswer(ERROR[:9], ERROR[9:], status=status, headers={"retry-after": "7"}))

    async with rig.client() as raw:
        answer = await raw.answer()

    assert (answer.status, answer.body, answer.whole) == (status, ERROR, True)
    assert (answer.headers["retry-after"], answer.headers["x-bursar-call-id"]) == ("7", "call_a")
    assert rig.how == ["refused"]
    assert rig.ends.reasons == [ERROR.decode()]
    label = "credit" if status == 402 else None
    assert ("upstream_refused", "fake", status, label) in rig.recorder.events


async def test_an_error_that_was_cut_is_passed_on_as_far_as_it_came() -> None:
    rig = Rig(
        FakeAnswer(
            ERROR[:9],
            aiohttp.ClientPayloadError("cut"),
            status=500,
            headers={"content-length": str(len(ERROR))},
        )
    )

    async with rig.client() as raw:
        answer = await raw.answer()

    assert (answer.body, answer.whole) == (ERROR[:9], True)
    assert rig.how == ["refused"]


async def test_of_an_error_only_the_beginning_is_noted_and_an_endless_one_is_cut() -> None:
    piece = b"e" * 2**20
    answers = FakeAnswer(*[piece] * 12, status=500)
    rig = Rig(answers)

    async with rig.client() as raw:
        answer = await raw.answer()

    assert len(answer.body) == ERROR_BYTES_MAX
    assert len(rig.ends.reasons[0]) == ERROR_BYTES_NOTED
    assert answers.left_over == 4


async def test_our_key_is_never_repeated() -> None:
    rig = Rig(FakeAnswer(b"Incorrect key: sk-fake!", status=401))

    async with rig.client(_with_key("sk-fake-0123456789")) as raw:
        answer = await raw.answer()
    assert answer.body == b"Incorrect key: sk-fake!"

    rig = Rig(FakeAnswer(b"Incorrect key: sk-fake-0123456789!", status=401))
    async with rig.client(_with_key("sk-fake-0123456789")) as raw:
        answer = await raw.answer()

    assert answer.body == b"Incorrect key: ***!"
    assert rig.ends.reasons == ["Incorrect key: ***!"]


def _with_key(key: str) -> Ticket:
    call = quoted()
    target = replace(call.routed.target, headers=(("Authorization", f"Bearer {key}"),))
    return ticket(replace(call, routed=replace(call.routed, target=target)))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_neither_followed_nor_passed_on(status: int) -> None:
    rig = Rig(FakeAnswer(status=status, headers={"location": "http://elsewhere.test"}))

    refusal = await rig.refusal()

    assert refusal.status == 502
    assert rig.how == ["refused"]


# Clients that leave…


@pytest.mark.parametrize("status", [200, 500])
async def test_a_client_that_leaves_is_counted_and_its_call_booked(status: int) -> None:
    rig = Rig(FakeAnswer())

    async def leave() -> None:
        assert rig.raw is not None
        rig.raw.reset()
        await asyncio.wait([asyncio.ensure_future(rig.raw.end())])

    pieces: Any = [leave, *[b"x" * 65_536] * 64]
    rig.upstream._answers = [FakeAnswer(*pieces, status=status)]

    async with rig.client() as raw:
        await raw.end()

    assert rig.how == ["answered" if status == 200 else "refused"]
    assert "client_left" in rig.recorder.names
