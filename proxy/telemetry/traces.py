"""Calls as spans of OpenTelemetry, with the names of its GenAI conventions; an extra of the package.

A span is made when a call has its end in the ledger, from then back to when it came: nothing is kept for
traces while a call is on its way, and what a span says was booked. It carries no prompt and no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from policies.errors import BursarError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

NANO_PER_MS: Final = 1_000_000
SERVICE: Final = "bursar"
_TRACEPARENT: Final = "traceparent"
#: Spans that wait for the collector; more are dropped, for calls do not wait for traces.
_QUEUE_MAX: Final = 8_192


class TracesUnavailable(BursarError):
    """Traces are configured, and the packages for them are not installed: pip install 'bursar[otel]'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTrace:
    """One call, as its span says it."""

    #: Such as `chat acme/mini`.
    name: str
    began_ms: int
    ended_ms: int
    #: W3C trace context of the request; empty: it had none.
    traceparent: str = ""
    attributes: Mapping[str, str | int | bool | tuple[str, ...]] = field(default_factory=dict)
    #: Why it is an error; None: it is not.
    error: str | None = None


class Traces(Protocol):
    """Where spans go."""

    @property
    def is_on(self) -> bool:
        """Whether spans are wanted; making them costs something."""
        ...

    def call(self, trace: CallTrace) -> None:
        """Send a call's span."""
        ...

    def close(self) -> None:
        """Send what waits; may take some seconds."""
        ...


class NoTraces:
    """No spans are wanted."""

    is_on: Final = False

    def call(self, trace: CallTrace) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class OtelTraces:
    """Spans by the OpenTelemetry SDK."""

    is_on: Final = True

    def __init__(
        self, exporter: SpanExporter, *, sampled_percent: int, queued: bool = True
    ) -> None:
        """Take who sends spans.

        Args:
            exporter: sends them; from a thread of its own, if they are queued.
            sampled_percent: of calls without a parent; those with one are as their parent says.
            queued: false sends each at once, for tests.
        """
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - The package is an extra.
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - The same.
        from opentelemetry.sdk.trace.export import (  # noqa: PLC0415 - The same.
            BatchSpanProcessor,
            SimpleSpanProcessor,
        )
        from opentelemetry.sdk.trace.sampling import (  # noqa: PLC0415 - The same.
            ParentBased,
            TraceIdRatioBased,
        )

        self._provider = TracerProvider(
            resource=Resource.create({"service.name": SERVICE}),
            sampler=ParentBased(TraceIdRatioBased(sampled_percent / 100)),
            shutdown_on_exit=False,
        )
        processor = (
            BatchSpanProcessor(exporter, max_queue_size=_QUEUE_MAX)
            if queued
            else SimpleSpanProcessor(exporter)
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(SERVICE)

    def call(self, trace: CallTrace) -> None:
        """Send a call's span."""
        from opentelemetry.trace import (  # noqa: PLC0415 - The package is an extra.
            SpanKind,
            Status,
            StatusCode,
        )
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - The same.
            TraceContextTextMapPropagator,
        )

        carrier = {_TRACEPARENT: trace.traceparent} if trace.traceparent else {}
        attributes: dict[str, Any] = dict(trace.attributes)
        span = self._tracer.start_span(
            trace.name,
            context=TraceContextTextMapPropagator().extract(carrier),
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=trace.began_ms * NANO_PER_MS,
        )
        if trace.error is not None:
            span.set_status(Status(StatusCode.ERROR, trace.error))
        span.end(end_time=trace.ended_ms * NANO_PER_MS)

    def close(self) -> None:
        """Send what waits."""
        self._provider.shutdown()


def otlp_traces(
    endpoint: str | None, headers: Mapping[str, str], sampled_percent: int
) -> NoTraces | OtelTraces:
    """Return where spans go by the configuration: to a collector, by OTLP over HTTP.

    Raises:
        TracesUnavailable: there is an endpoint, and the extra is not installed.
    """
    if endpoint is None:
        return NoTraces()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - An extra.
            OTLPSpanExporter,
        )
    except ImportError as error:
        raise TracesUnavailable(TracesUnavailable.__doc__) from error
    exporter = OTLPSpanExporter(endpoint=endpoint, headers=dict(headers))
    return OtelTraces(exporter, sampled_percent=sampled_percent)
