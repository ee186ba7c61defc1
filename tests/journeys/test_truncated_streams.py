"""Answers that break off: the client is told so in its dialect, and money is what is known of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.doubles.aftermath import books_are_closed, kinds
from tests.doubles.formats import (
    CHAT,
    FORMATS,
    GENERATE,
    MESSAGES,
    MODEL,
    RESPONSES,
    TOKEN_NANO_USD,
    Format,
)
from tests.doubles.running import OUTPUT_ONLY, Running, running

BUDGETS = "[{name: month, limit: 10 USD, window: month}]"
# Ten tokens are reserved, three are used: what was settled says how well the answer was known.
RESERVED = 10 * TOKEN_NANO_USD
USED = 3 * TOKEN_NANO_USD
QUICK = "gateway: {timeouts: {upstream_idle: 100ms}}\n"
ARRAY = f"/v1beta/models/{MODEL}:streamGenerateContent"
every_format = pytest.mark.parametrize("form", FORMATS, ids=str)


async def streamed(bursar: Running, form: Format, **scenario: Any) -> bytes:
    """Make a streaming call while the provider misbehaves; return what the client got."""
    bursar.scenario(**{"usage": {"output": 3}, "chunks": 3, **scenario})
    status, headers, raw = await bursar.post(form.stream_path, form.body(stream=True))

    assert (status, headers["content-type"].split(";")[0]) == (200, "text/event-stream")
    assert isinstance(raw, bytes)
    return raw


@every_format
@pytest.mark.parametrize("split", [None, 7], ids=["whole events", "events in pieces"])
async def test_a_stream_that_is_cut_ends_with_the_dialects_error(
    tmp_path: Path, redis_url: str, organization: str, form: Format, split: int | None
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        raw = await streamed(bursar, form, cut_after_events=2, split_bytes=split)

        assert "broke off" in form.error_in(raw)
        await books_are_closed(bursar, spent=RESERVED)


@every_format
async def test_a_stream_that_is_cut_in_the_middle_of_an_event_ends_with_the_dialects_error(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        raw = await streamed(bursar, form, cut_after_bytes=150)

        assert "broke off" in form.error_in(raw)
        await books_are_closed(bursar, spent=RESERVED)


@every_format
@pytest.mark.parametrize("events", [0, 1, 2])
async def test_a_stream_that_ends_politely_but_early_ends_with_the_dialects_error(
    tmp_path: Path, redis_url: str, organization: str, form: Format, events: int
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        raw = await streamed(bursar, form, end_early_after_events=events)

        assert "broke off" in form.error_in(raw)
        await books_are_closed(bursar, spent=RESERVED)


@every_format
async def test_a_stream_that_falls_silent_ends_with_the_dialects_error(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with running(
        tmp_path, redis_url, organization, budgets=BUDGETS, settings=QUICK
    ) as bursar:
        raw = await streamed(bursar, form, stall_after_events=2)

        assert "silent for too long" in form.error_in(raw)
        await books_are_closed(bursar, spent=RESERVED)


@every_format
async def test_an_error_inside_a_stream_is_relayed_and_what_was_made_before_is_charged(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    error = {"message": "The model has lost its thread."}
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        # The first events of some dialects hold no output yet.
        raw = await streamed(bursar, form, error_after_events=4, error=error, chunks=8)

        assert raw.count(b"The model has lost its thread.") == 1
        assert b"broke off" not in raw
        await books_are_closed(bursar, spent=RESERVED)


@every_format
async def test_an_error_before_any_output_costs_nothing(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    error = {"message": "The model is overloaded."}
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        raw = await streamed(bursar, form, error_after_events=0, error=error)

        assert raw.count(b"The model is overloaded.") == 1
        assert b"broke off" not in raw
        await books_are_closed(bursar, spent=0)
        assert (await kinds(bursar))["release"] == 1


@every_format
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_provider_that_never_answers_is_given_up(
    tmp_path: Path, redis_url: str, organization: str, form: Format, stream: bool
) -> None:
    async with running(
        tmp_path, redis_url, organization, budgets=BUDGETS, settings=QUICK
    ) as bursar:
        bursar.scenario(hang=True)

        status, headers, document = await bursar.post(
            form.path_of(stream=stream), form.body(stream=stream)
        )

        assert status == 504
        assert "did not answer in time" in form.refusal_of(document, 504)
        assert "x-should-retry" not in headers
        await books_are_closed(bursar, spent=RESERVED)


@every_format
async def test_a_whole_answer_that_is_cut_breaks_the_connection(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(usage={"output": 3}, cut_after_bytes=60)

        with pytest.raises(aiohttp.ClientError):
            await bursar.post(form.path, form.body())

        await books_are_closed(bursar, spent=RESERVED)


async def test_a_compressed_stream_that_is_cut_breaks_the_connection(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        # Messages are never rewritten, so a compressed stream of them stays as it is.
        bursar.scenario(usage={"output": 3}, chunks=3, cut_after_events=2, compress="gzip")

        with pytest.raises(aiohttp.ClientError):
            await bursar.post(MESSAGES.path, MESSAGES.body(stream=True))

        await books_are_closed(bursar, spent=RESERVED)


@pytest.mark.parametrize(
    "fault",
    [{"cut_after_events": 2}, {"stall_after_events": 2}],
    ids=["cut", "silent"],
)
async def test_an_array_that_breaks_off_is_closed_with_an_error(
    tmp_path: Path, redis_url: str, organization: str, fault: dict[str, int]
) -> None:
    async with running(
        tmp_path, redis_url, organization, budgets=BUDGETS, settings=QUICK
    ) as bursar:
        bursar.scenario(usage={"output": 3}, chunks=3, **fault)

        status, _, elements = await bursar.post(ARRAY, GENERATE.body())

        assert status == 200
        assert isinstance(elements, list), elements
        assert elements[-1]["error"]["status"] in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
        await books_are_closed(bursar, spent=RESERVED)


async def test_a_whole_array_is_relayed_and_charged_what_was_used(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        bursar.scenario(usage={"output": 3}, chunks=3)

        status, _, elements = await bursar.post(ARRAY, GENERATE.body())

        assert (status, "error" in json.dumps(elements)) == (200, False)
        await books_are_closed(bursar, spent=USED)


@pytest.mark.parametrize(
    ("form", "missing"), [(CHAT, 1), (MESSAGES, 1), (GENERATE, 0)], ids=["chat", "messages", "gen"]
)
@pytest.mark.parametrize("ending", ["cut_after_events", "end_early_after_events"])
async def test_usage_that_came_before_the_cut_is_exact(
    tmp_path: Path, redis_url: str, organization: str, form: Format, missing: int, ending: str
) -> None:
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        await streamed(bursar, form)
        events = bursar.simulator.calls[0].events

        await streamed(bursar, form, **{ending: events - missing})

        await books_are_closed(bursar, spent=2 * USED)


async def test_a_stream_without_its_last_line_is_no_error(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    # Some servers that speak Chat never send `[DONE]`; what matters is that the answer finished.
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        await streamed(bursar, CHAT)
        events = bursar.simulator.calls[0].events

        raw = await streamed(bursar, CHAT, end_early_after_events=events - 1)

        assert b"broke off" not in raw
        await books_are_closed(bursar, spent=2 * USED)


@every_format
async def test_input_that_is_known_is_charged_as_such_and_output_as_reserved(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    prices = {"acme/mini": {**OUTPUT_ONLY, "input": 100}}
    token = 100_000
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS, prices=prices) as bursar:
        await streamed(bursar, form, cut_after_events=3, chunks=8, usage={"input": 7})
        await bursar.settled()

        (call,) = bursar.simulator.calls
        knows_input = form in {MESSAGES, GENERATE}
        expected = 7 * token if knows_input else call.body_bytes * token
        standing = await bursar.standing("month")
        if form is CHAT:
            # The usage option is written into the request after it was quoted.
            expected = len(form.text(stream=True)) * token
        assert (standing.spent, standing.reserved) == (expected + RESERVED, 0)


@pytest.mark.parametrize("form", [RESPONSES], ids=str)
async def test_a_response_that_was_cut_is_settled_at_once(
    tmp_path: Path, redis_url: str, organization: str, form: Format
) -> None:
    # The provider has stored it as `in_progress`; nobody waits for what may never come.
    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        await streamed(bursar, form, cut_after_events=2)

        standing = await bursar.standing("month")
        assert (standing.spent, standing.reserved) == (RESERVED, 0)
