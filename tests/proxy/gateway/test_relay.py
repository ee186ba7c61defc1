"""Relaying: piece by piece as it came, and the money is booked before the client has the last one."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from policies.usage import AtLeast, Exact, Unknown
from proxy.gateway.call import Passage
from proxy.gateway.drain import DrainLimits, Drains
from proxy.gateway.meter import meter_answer
from proxy.gateway.relay import Relay
from tests.doubles.calls import arrival, body_of, passage, price, quoted, ticket
from tests.doubles.fake_upstream import FakeAnswer, FakeClient, FakeEnds, Step

HELLO = b'data: {"id":"chatcmpl-1","model":"acme/mini","choices":[{"delta":{"content":"Hi"}}]}\n\n'
USAGE = (
    b'data: {"id":"chatcmpl-1","choices":[],'
    b'"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'
)
DONE = b"data: [DONE]\n\n"
BODY = (
    b'{"id":"chatcmpl-1","model":"acme/mini","choices":[{"message":{"content":"Hi"}}],'
    b'"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}'
)
WITH_USAGE: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
EVENTS = {"content-type": "text/event-stream"}
LIMITS = DrainLimits(calls_max=1, bytes_max=10_000, time_s=20)


class Rig:
    """One answer on its way, and everything that happens to it in order."""

    def __init__(
        self,
        *steps: Step,
        leaves_after: int | None = None,
        limits: DrainLimits = LIMITS,
        headers: dict[str, str] | None = None,
        content_length: int | None = None,
        passed: Passage | None = None,
        **fields: Any,
    ) -> None:
        self.log: list[tuple[object, ...]] = []
        self.passage = passed or passage(ticket(quoted(**fields)), headers=headers)
        self.answer = FakeAnswer(*steps, headers=headers, content_length=content_length)
        self.client = FakeClient(self.log, leaves_after=leaves_after)
        self.ends = FakeEnds(self.log)
        call = self.passage.ticket.quoted
        self._relay = Relay(
            self.passage,
            self.answer.as_answer(),
            self.client,
            meter_answer(call, self.answer.headers),
            drains=Drains(limits),
            ends=self.ends,
        )

    async def run(self, *headers: tuple[str, str]) -> web.StreamResponse:
        return await self._relay.run(list(headers))

    @property
    def order(self) -> list[object]:
        """What happened; pieces as they are, everything else by its name."""
        return [event[1] if event[0] == "write" else event[0] for event in self.log]


def cut() -> BaseException:
    return aiohttp.ClientPayloadError("cut")


# Whole answers…


@pytest.mark.parametrize("content_length", [len(BODY), None], ids=["counted", "chunked"])
@pytest.mark.parametrize("size", [10, 10_000])
async def test_a_whole_answer_is_settled_before_its_last_piece(
    content_length: int | None, size: int
) -> None:
    pieces = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    rig = Rig(*pieces, content_length=content_length)

    await rig.run()

    assert rig.order == ["begin", *pieces[:-1], "answered", pieces[-1], "end"]
    assert isinstance(rig.ends.readings[0].metered, Exact)
    assert rig.passage.body_ids == ["chatcmpl-1"]
    assert not rig.passage.cut


async def test_an_answer_without_a_body_is_settled_as_well() -> None:
    rig = Rig(content_length=0)

    await rig.run()

    assert rig.order == ["begin", "answered", "end"]
    assert isinstance(rig.ends.readings[0].metered, Unknown)


async def test_nothing_is_awaited_behind_the_announced_length() -> None:
    rig = Rig(BODY, AssertionError("asked for more"), content_length=len(BODY))

    await rig.run()

    assert rig.answer.left_over == 1


async def test_headers_are_the_providers_and_ours() -> None:
    given = {"x-generation-id": "gen-1", "set-cookie": "a=b", "content-type": "application/json"}
    rig = Rig(BODY, headers=given)

    await rig.run(("x-bursar-call-id", "call_a"))

    _, status, headers = rig.log[0]
    assert status == 200
    assert headers == [
        ("x-generation-id", "gen-1"),
        ("content-type", "application/json"),
        ("x-accel-buffering", "no"),
        ("x-bursar-call-id", "call_a"),
    ]


async def test_a_whole_answer_that_was_cut_is_settled_and_the_client_sees_it() -> None:
    rig = Rig(BODY[:30], BODY[30:60], cut(), content_length=len(BODY))

    await rig.run()

    assert rig.order == ["begin", BODY[:30], "answered", "abort", "end"]
    assert rig.passage.cut
    assert isinstance(rig.ends.readings[0].metered, Unknown)


@pytest.mark.parametrize("leaves_after", [-1, 0, 1, 2])
async def test_a_whole_answer_is_settled_at_its_usage_though_the_client_left(
    leaves_after: int,
) -> None:
    pieces = [BODY[:30], BODY[30:60], BODY[60:]]
    rig = Rig(*pieces, leaves_after=leaves_after, content_length=len(BODY))

    await rig.run()

    assert isinstance(rig.ends.readings[0].metered, Exact)
    assert rig.client.body == b"".join(pieces[: max(leaves_after, 0)])
    assert rig.passage.client_left
    assert not rig.passage.cut


# Streams…


async def test_a_stream_is_relayed_as_it_comes_and_settled_before_its_end() -> None:
    rig = Rig(HELLO, USAGE, DONE, headers=EVENTS, **WITH_USAGE)

    await rig.run()

    assert rig.order == ["begin", "seen", HELLO, USAGE, "answered", DONE, "end"]
    assert isinstance(rig.ends.readings[0].metered, Exact)


async def test_a_stream_in_one_piece_is_settled_before_it() -> None:
    rig = Rig(HELLO + USAGE + DONE, headers=EVENTS, **WITH_USAGE)

    await rig.run()

    assert rig.order == ["begin", "seen", "answered", HELLO + USAGE + DONE, "end"]


async def test_what_comes_behind_the_end_is_relayed_and_changes_nothing() -> None:
    rig = Rig(HELLO, USAGE + DONE, b": bye\n\n", headers=EVENTS, **WITH_USAGE)

    await rig.run()

    assert rig.order[-4:] == ["answered", USAGE + DONE, b": bye\n\n", "end"]


async def test_an_id_is_noted_once() -> None:
    rig = Rig(*[HELLO] * 5, USAGE, DONE, headers=EVENTS, **WITH_USAGE)

    await rig.run()

    assert rig.order.count("seen") == 1
    assert rig.passage.body_ids == ["chatcmpl-1"]
    assert rig.log[1] == ("seen", "chatcmpl-1")


async def test_an_id_that_was_noted_elsewhere_is_not_noted_again() -> None:
    passed = passage(ticket(quoted(**WITH_USAGE)))
    passed.ids_noted = True
    rig = Rig(HELLO, USAGE, DONE, headers=EVENTS, passed=passed)

    await rig.run()

    assert "seen" not in rig.order


async def test_usage_that_the_client_did_not_ask_for_is_taken_out() -> None:
    rig = Rig(HELLO, USAGE, DONE, headers={**EVENTS, "content-length": "999"}, stream=True)

    await rig.run()

    assert rig.client.body == HELLO + DONE
    assert isinstance(rig.ends.readings[0].metered, Exact)
    assert "content-length" not in dict(rig.log[0][2])  # type: ignore[call-overload]  # The log holds calls of any form.


async def test_what_was_held_back_at_the_end_is_relayed() -> None:
    last = b'data: {"id":"chatcmpl-1","choices":[{"delta":{},"finish_reason":"stop"}]}'
    rig = Rig(HELLO, last, headers=EVENTS, stream=True)

    await rig.run()

    assert rig.order == ["begin", "seen", HELLO, "answered", last, "end"]


async def test_a_stream_that_ends_in_good_order_before_its_end_was_cut() -> None:
    rig = Rig(HELLO, headers=EVENTS, **WITH_USAGE)

    await rig.run()

    assert rig.order[:4] == ["begin", "seen", HELLO, "answered"]
    assert b"ended before it was finished" in rig.client.body
    assert isinstance(rig.ends.readings[0].metered, Unknown)
    assert rig.passage.cut


FINISHED = b'data: {"id":"c","choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
FAILED = b'data: {"error":{"message":"overloaded"}}\n\n'


@pytest.mark.parametrize(
    ("last", "headers"),
    [
        (FINISHED, EVENTS),
        (USAGE, EVENTS),
        (FAILED, EVENTS),
        (HELLO, {**EVENTS, "content-encoding": "gzip"}),
        (BODY, {"content-type": "application/json"}),
    ],
    ids=["finished", "usage", "error", "packed", "no stream"],
)
async def test_some_servers_leave_out_the_last_line(last: bytes, headers: dict[str, str]) -> None:
    rig = Rig(last, headers=headers, **WITH_USAGE)

    await rig.run()

    assert rig.client.body == last
    assert not rig.passage.cut


# Cuts…


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(cut(), "upstream_cut"), (aiohttp.SocketTimeoutError(), "upstream_timeout")],
    ids=["cut", "silent"],
)
async def test_a_stream_that_was_cut_ends_with_the_dialects_error(
    fault: BaseException, kind: str
) -> None:
    rig = Rig(HELLO, fault, headers=EVENTS, **WITH_USAGE)

    await rig.run()

    assert rig.order[:4] == ["begin", "seen", HELLO, "answered"]
    assert rig.order[-1] == "end"
    last = rig.client.body[len(HELLO) :].strip().split(b"\n")[0]
    error = json.loads(last.removeprefix(b"data: "))
    assert "broke off in the middle" in error["error"]["message"]
    assert kind in json.dumps(error)
    assert rig.passage.cut


async def test_messages_are_charged_at_least_what_their_beginning_said() -> None:
    start = (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1",'
        b'"usage":{"input_tokens":7,"output_tokens":1}}}\n\n'
    )
    came = arrival("/v1/messages", body=body_of(stream=True))
    rig = Rig(start, cut(), headers=EVENTS, came=came)

    await rig.run()

    assert isinstance(rig.ends.readings[0].metered, AtLeast)
    assert b"event: error" in rig.client.body


@pytest.mark.parametrize("strips", [True, False])
async def test_half_an_event_does_not_swallow_the_error(strips: bool) -> None:
    fields = {"stream": True} if strips else WITH_USAGE
    rig = Rig(HELLO + HELLO[:20], cut(), headers=EVENTS, **fields)

    await rig.run()

    half = b"" if strips else HELLO[:20] + b"\n\n"
    assert rig.client.body.startswith(HELLO + half + b'data: {"error"')
    assert b"broke off" in rig.client.body


@pytest.mark.parametrize(
    ("headers", "content_length"),
    [({**EVENTS, "content-encoding": "gzip"}, None), (EVENTS, 999)],
    ids=["packed", "counted"],
)
async def test_what_nothing_can_be_added_to_is_broken_off(
    headers: dict[str, str], content_length: int | None
) -> None:
    rig = Rig(b"\x1f\x8b", cut(), headers=headers, content_length=content_length, **WITH_USAGE)

    await rig.run()

    assert rig.order == ["begin", b"\x1f\x8b", "answered", "abort", "end"]


async def test_an_array_is_closed_with_an_error_in_it() -> None:
    came = arrival("/v1beta/models/gemini-pro:streamGenerateContent", body=b'{"contents":[]}')
    element = b'[{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}],"responseId":"r"}'
    passed = passage(ticket(quoted(prices=[price("gemini-pro")], came=came)))
    headers = {"content-type": "application/json"}
    rig = Rig(element, cut(), headers=headers, passed=passed)

    await rig.run()

    document = json.loads(rig.client.body)
    assert document[0]["responseId"] == "r"
    assert "broke off" in json.dumps(document[1])


async def test_a_cut_behind_the_end_is_not_settled_twice() -> None:
    rig = Rig(HELLO, USAGE, DONE, cut(), headers=EVENTS, **WITH_USAGE)

    await rig.run()

    assert rig.order.count("answered") == 1
    assert isinstance(rig.ends.readings[0].metered, Exact)


# Clients that leave…


@pytest.mark.parametrize("leaves_after", [-1, 0, 1, 2, 3])
async def test_a_stream_is_settled_at_its_usage_though_the_client_left(leaves_after: int) -> None:
    rig = Rig(HELLO, USAGE, DONE, headers=EVENTS, leaves_after=leaves_after, **WITH_USAGE)

    await rig.run()

    assert isinstance(rig.ends.readings[0].metered, Exact)
    assert rig.passage.client_left is (leaves_after < 3)
    assert rig.answer.ends == []


@pytest.mark.parametrize("stream", [True, False])
async def test_beyond_the_bounds_of_draining_a_call_is_cut_and_the_provider_told(
    stream: bool,
) -> None:
    limits = DrainLimits(calls_max=0, bytes_max=0, time_s=0)
    fields = WITH_USAGE if stream else {}
    rig = Rig(HELLO, USAGE, DONE, limits=limits, leaves_after=0, **fields)

    await rig.run()

    assert rig.answer.ends == ["closed"]
    assert rig.passage.cut
    assert rig.passage.client_left
    assert rig.order == ["begin", "answered", "end"]


async def test_nobody_is_told_of_a_cut_when_nobody_is_there() -> None:
    rig = Rig(HELLO, HELLO, cut(), headers=EVENTS, leaves_after=1, **WITH_USAGE)

    await rig.run()

    assert rig.order == ["begin", "seen", HELLO, "answered", "end"]
