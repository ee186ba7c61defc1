"""Logs: events with fields, one line of JSON each, or for people on a terminal."""

from __future__ import annotations

import logging
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from proxy.telemetry.secrets import REDACTED, cleaned, is_dropped

Format = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error"]
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def without_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Take out what nobody may read; the last step before a line is written."""
    del logger, method
    return {name: REDACTED if is_dropped(name) else cleaned(value) for name, value in event.items()}


def make_log(
    stream: TextIO, *, level: Level = "info", form: Format = "auto"
) -> FilteringBoundLogger:
    """Return the log of this process.

    Args:
        stream: where lines go; standard error, for standard output belongs to commands' data.
        level: what is less is not even put together.
        form: `auto` is `console` on a terminal and `json` elsewhere.
    """
    console = form == "console" or (form == "auto" and stream.isatty())
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # A traceback becomes text first, so that it is searched for secrets like any other.
        structlog.processors.format_exc_info,
        without_secrets,
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if console
        else structlog.processors.JSONRenderer(serializer=_json),
    ]
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        context_class=dict,
    )
    return log


def _json(event: EventDict, **options: Any) -> str:  # noqa: ANN401 - As structlog passes them on.
    del options
    return msgspec.json.encode(event).decode()


class _Forwarder(logging.Handler):
    """Brings what libraries log into the same log, and so through the same redaction."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record of the standard library's logging."""
        fields = {"logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            self._log.log(record.levelno, record.getMessage(), exc_info=record.exc_info, **fields)
        else:
            self._log.log(record.levelno, record.getMessage(), **fields)


def take_over_logging(log: FilteringBoundLogger) -> None:
    """Let aiohttp, asyncio and all other libraries write to this log, from warnings on."""
    root = logging.getLogger()
    root.handlers = [_Forwarder(log)]
    root.setLevel(logging.WARNING)
