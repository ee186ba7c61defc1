"""The door: which requests are calls, which are free, and that nothing else passes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.doubles.calls import body_of
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_upstream import FakeAnswer, FakeUpstream, never
from tests.doubles.raw_http import Answer, RawClient, connected, request
from tests.doubles.serving import serving
from tests.doubles.stations import SECRET, Rig
from tests.doubles.waiting import until

CHAT = "/v1/chat/completions"
BODY = b'{"id":"c","usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}'


@pytest.fixture
async def rig(clock: FakeClock, tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(clock, tmp_path, FakeUpstream(FakeAnswer(BODY)), calls_max=1)
    yield made
    await made.close()


@pytest.fixture
async def raw(rig: Rig) -> AsyncIterator[RawClient]:
    async with serving(rig.plane.handle) as url, connected(url) as client:
        yield client


async def ask(
    raw: RawClient,
    path: str,
    *headers: str,
    method: str = "GET",
    key: str = SECRET,
    body: bytes = b"",
) -> Answer:
    await raw.send(request(path, body, key, *headers, method=method))
    return await raw.answer()


async def test_a_call_is_answered(rig: Rig, raw: RawClient) -> None:
    answer = await ask(raw, CHAT, method="POST", body=body_of())

    assert (answer.status, answer.body) == (200, BODY)
    assert b"bursar_call_seconds_count" in rig.metrics.render()


async def test_a_probe_needs_no_key(raw: RawClient) -> None:
    await raw.send(request("/", b"", "", method="HEAD"))
    answer = await raw.head()

    assert answer.status == 200
    assert answer.headers["x-bursar-call-id"].startswith("call_")


async def test_callers_see_their_budgets(raw: RawClient) -> None:
    answer = await ask(raw, "/v1/budget")

    assert answer.status == 200
    assert [row["name"] for row in answer.document["items"]] == ["month"]


async def test_without_the_ledger_callers_are_told_to_try_again(rig: Rig, raw: RawClient) -> None:
    rig.ledger.away = True

    answer = await ask(raw, "/v1/budget")

    assert answer.status == 503
    assert "x-should-retry" not in answer.headers
    assert answer.document["error"]["code"] == "ledger_unavailable"


async def test_what_is_free_passes_without_the_ledger(rig: Rig, raw: RawClient) -> None:
    rig.ledger.away = True
    rig.upstream._answers = [FakeAnswer(b'{"data":[]}')]

    answer = await ask(raw, "/v1/models")

    assert (answer.status, answer.body) == (200, b'{"data":[]}')
    assert rig.ledger.asked == []


@pytest.mark.parametrize("path", ["/v1/budget", "/v1/models", "/v1/responses/resp_1"])
async def test_what_is_free_needs_a_key_all_the_same(rig: Rig, raw: RawClient, path: str) -> None:
    assert (await ask(raw, path, key="bsr_wrong")).status == 401
    assert rig.upstream.sent == []


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("POST", "/v1/images/generations", 404, "not_found"),
        ("GET", CHAT, 405, "method_not_allowed"),
        ("POST", "/v1//chat/completions", 400, "malformed"),
        ("POST", "/v1/chat/completions/", 404, "not_found"),
    ],
)
async def test_what_is_not_metered_is_not_forwarded(
    rig: Rig, raw: RawClient, method: str, path: str, status: int, kind: str
) -> None:
    answer = await ask(raw, path, method=method)

    assert answer.status == status
    assert rig.upstream.sent == []
    assert rig.logs.events[-1]["reason"] == kind


async def test_a_wrong_path_comes_with_a_hint_and_a_wrong_method_with_the_right_ones(
    raw: RawClient,
) -> None:
    wrong_path = await ask(raw, "/chat/completions", method="POST")
    wrong_method = await ask(raw, CHAT, method="DELETE")

    assert "let the base URL end in /v1" in json.dumps(wrong_path.document)
    assert wrong_method.headers["allow"] == "POST"


async def test_a_websocket_is_refused_so_that_its_client_falls_back(raw: RawClient) -> None:
    answer = await ask(raw, "/v1/responses", "connection: Upgrade", "upgrade: websocket")

    assert answer.status == 426
    assert answer.headers["upgrade"] == "HTTP/1.1"


# What goes wrong…


async def test_a_fault_of_ours_costs_one_call_and_not_the_proxy(rig: Rig, raw: RawClient) -> None:
    rig.upstream._answers = [RuntimeError("a mistake"), FakeAnswer(BODY)]

    failed = await ask(raw, CHAT, method="POST", body=body_of())
    passed = await ask(raw, CHAT, method="POST", body=body_of())

    assert failed.status == 500
    call_id = failed.headers["x-bursar-call-id"]
    assert call_id in json.dumps(failed.document)
    assert passed.status == 200
    (event,) = (each for each in rig.logs.events if each["event"] == "call_failed")
    assert event["call"] == call_id


async def test_a_client_that_leaves_in_the_middle_of_its_request_is_no_fault(rig: Rig) -> None:
    async with serving(rig.plane.handle) as url, connected(url) as raw:
        await raw.send(request(CHAT, b"x" * 99, SECRET)[:-50])
        await until(lambda: len(rig.calls) == 1)
        raw.reset()
        await until(lambda: not len(rig.calls))

    assert b"bursar_clients_left_total 1.0" in rig.metrics.render()
    assert "call_failed" not in rig.logs.names
    assert "background_task_failed" not in rig.logs.names


@pytest.mark.parametrize("cancels", [True, False], ids=["cancelling", "plain"])
async def test_a_call_is_carried_to_its_end_whatever_becomes_of_its_handler(
    rig: Rig, cancels: bool
) -> None:
    go_on = asyncio.Event()

    async def wait() -> None:
        await go_on.wait()

    rig.upstream._answers = [FakeAnswer(wait, BODY)]
    async with serving(rig.plane.handle, handler_cancellation=cancels) as url:
        async with connected(url) as raw:
            await raw.send(request(CHAT, body_of(), SECRET))
            await until(lambda: len(rig.upstream.sent) == 1)
            raw.reset()
            await raw.end()
        go_on.set()
        await until(lambda: not len(rig.calls))

    assert [entry.kind for entry in await rig.behind.journal()] == ["admitted", "settle"]


async def test_only_so_many_requests_are_in_flight(rig: Rig) -> None:
    rig.upstream._answers = [FakeAnswer(never)]
    async with serving(rig.plane.handle) as url, connected(url) as first, connected(url) as second:
        await first.send(request(CHAT, body_of(), SECRET))
        await until(lambda: len(rig.upstream.sent) == 1)

        answer = await ask(second, "/v1/budget")

        assert answer.status == 503
        assert answer.document["error"]["code"] == "overloaded"
        await rig.close()


async def test_a_proxy_that_is_about_to_stop_takes_nothing_new(rig: Rig, raw: RawClient) -> None:
    rig.plane.closing = True

    answer = await ask(raw, "/v1/budget")

    assert answer.status == 503
    assert answer.headers["connection"] == "close"
    assert "x-should-retry" not in answer.headers


async def test_what_is_not_http_is_answered_as_an_error(rig: Rig) -> None:
    answer = rig.plane.malformed(400, "Bad header: send one valid HTTP/1.1 request")

    assert answer.status == 400
    assert isinstance(answer.body, bytes)
    assert "valid HTTP" in json.loads(answer.body)["error"]["message"]
    assert rig.logs.events[-1]["reason"] == "malformed"
