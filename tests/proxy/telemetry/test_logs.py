"""Lines of log."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.key_store import new_secret
from proxy.telemetry.logs import make_log, take_over_logging
from proxy.telemetry.secrets import REDACTED


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    yield logger
    logger.handlers, logger.level = handlers, level


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_its_fields(stream: io.StringIO) -> None:
    make_log(stream).info("call_refused", status=402, budget="company")

    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "call_refused", "level": "info", "status": 402, "budget": "company"}


def test_a_terminal_gets_lines_for_people() -> None:
    terminal = Terminal()

    make_log(terminal).info("call_refused", status=402)

    assert "call_refused" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


@pytest.mark.parametrize(("form", "is_json"), [("json", True), ("console", False)])
def test_the_form_can_be_chosen(form: Any, is_json: bool) -> None:
    terminal = Terminal()

    make_log(terminal, form=form).info("event")

    assert terminal.getvalue().startswith("{") is is_json


def test_what_is_less_than_the_level_is_not_written(stream: io.StringIO) -> None:
    log = make_log(stream, level="warning")

    log.info("unimportant")
    log.warning("important")

    assert [line["event"] for line in lines(stream)] == ["important"]


def test_no_secret_and_no_body_gets_into_a_line(stream: io.StringIO) -> None:
    secret = new_secret()

    make_log(stream).info(f"key {secret}", key=secret, body="my prompt", chunk=b"my prompt")

    assert secret not in stream.getvalue()
    assert "my prompt" not in stream.getvalue()
    assert lines(stream)[0]["body"] == REDACTED


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_is_searched_too(stream: io.StringIO, form: Any) -> None:
    secret = new_secret()
    try:
        raise ValueError(f"refused {secret}")
    except ValueError as fault:
        make_log(stream, form=form).error("call_failed", exc_info=fault)

    assert "ValueError" in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()
    assert secret not in stream.getvalue()


def test_an_object_that_is_no_json_is_shown_as_text(stream: io.StringIO) -> None:
    make_log(stream).info("event", value=object)

    assert lines(stream)[0]["value"] == "<class 'object'>"


# Other people's logging…


@pytest.mark.usefixtures("root")
def test_libraries_write_to_the_same_log(stream: io.StringIO) -> None:
    secret = new_secret()
    take_over_logging(make_log(stream))

    logging.getLogger("aiohttp.server").warning("odd request %s", secret)
    logging.getLogger("aiohttp.access").info("every request")

    (line,) = lines(stream)
    assert (line["logger"], line["level"]) == ("aiohttp.server", "warning")
    assert line["event"] == f"odd request bsr_{REDACTED}"


@pytest.mark.usefixtures("root")
def test_their_tracebacks_come_along(stream: io.StringIO) -> None:
    take_over_logging(make_log(stream))

    try:
        raise RuntimeError("in a callback")
    except RuntimeError:
        logging.getLogger("asyncio").exception("task failed")

    (line,) = lines(stream)
    assert "RuntimeError: in a callback" in line["exception"]
