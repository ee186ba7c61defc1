"""Spans go where they are sent, with the times of the call and the trace that it came with."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from proxy.telemetry.traces import CallTrace, NoTraces, OtelTraces, otlp_traces
from tests.doubles.waiting import until

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = CallTrace(
    name="chat acme/mini",
    began_ms=1_000,
    ended_ms=2_500,
    attributes={"gen_ai.request.model": "acme/mini"},
)


class Kept:
    """Traces that are kept here."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.traces = OtelTraces(self.exporter, sampled_percent=100, queued=False)

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


@pytest.fixture
def kept() -> Iterator[Kept]:
    made = Kept()
    yield made
    made.traces.close()


def test_a_span_has_the_times_of_the_call(kept: Kept) -> None:
    kept.traces.call(TRACE)

    (span,) = kept.spans()
    assert (span.start_time, span.end_time) == (1_000_000_000, 2_500_000_000)
    assert span.name == "chat acme/mini"
    assert dict(span.attributes or {}) == {"gen_ai.request.model": "acme/mini"}
    assert span.status.is_unset
    assert span.parent is None


def test_a_span_belongs_to_the_trace_that_the_call_came_with(kept: Kept) -> None:
    kept.traces.call(CallTrace(name="chat", began_ms=1, ended_ms=2, traceparent=PARENT))

    (span,) = kept.spans()
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == PARENT.split("-")[1]
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PARENT.split("-")[2]


@pytest.mark.parametrize("nonsense", ["", "garbage", "00-0-0-01", "\x00" * 60, "00-" + "f" * 9000])
def test_a_trace_context_that_is_none_begins_a_trace(kept: Kept, nonsense: str) -> None:
    kept.traces.call(CallTrace(name="chat", began_ms=1, ended_ms=2, traceparent=nonsense))

    (span,) = kept.spans()
    assert span.parent is None


def test_an_error_is_said_to_be_one(kept: Kept) -> None:
    kept.traces.call(CallTrace(name="chat", began_ms=1, ended_ms=2, error="budget_exceeded"))

    assert kept.spans()[0].status.description == "budget_exceeded"


def test_calls_are_sampled_but_for_those_whose_parent_is() -> None:
    exporter = InMemorySpanExporter()
    traces = OtelTraces(exporter, sampled_percent=0, queued=False)

    traces.call(TRACE)
    traces.call(CallTrace(name="chat", began_ms=1, ended_ms=2, traceparent=PARENT))

    assert len(exporter.get_finished_spans()) == 1
    traces.close()


def test_without_an_endpoint_there_are_none() -> None:
    traces = otlp_traces(None, {}, 100)

    assert isinstance(traces, NoTraces)
    assert not traces.is_on
    traces.call(TRACE)
    traces.close()


async def test_a_collector_gets_them_by_otlp() -> None:
    bodies: list[bytes] = []

    async def collect(request: web.Request) -> web.Response:
        body = await request.read()
        gzipped = request.headers.get("content-encoding") == "gzip"
        bodies.append(gzip.decompress(body) if gzipped else body)
        assert request.headers["x-key"] == "k"
        return web.Response()

    application = web.Application()
    application.router.add_post("/v1/traces", collect)
    server = TestServer(application)
    await server.start_server()
    traces = otlp_traces(str(server.make_url("/v1/traces")), {"x-key": "k"}, 100)

    traces.call(TRACE)
    await until(lambda: bool(bodies))

    assert b"chat acme/mini" in bodies[0]
    assert b"gen_ai.request.model" in bodies[0]
    await server.close()
