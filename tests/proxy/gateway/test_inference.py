"""The way of one call: the stations in their order, and nothing left behind wherever it stops."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from policies.errors import LedgerRefused, LedgerUnavailable
from policies.rulebook import Rulebook, Team
from proxy.gateway.write_ahead import Unbooked
from proxy.keys import Invalid
from tests.doubles.calls import MONTH, body_of
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_upstream import FakeAnswer, FakeUpstream
from tests.doubles.raw_http import Answer, connected, request
from tests.doubles.serving import serving
from tests.doubles.stations import SECRET, Rig

BODY = (
    b'{"id":"chatcmpl-1","model":"acme/mini",'
    b'"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}'
)
COST = 7 * 1_000 + 3 * 10_000
CHAT = "/v1/chat/completions"


@pytest.fixture
async def rig(clock: FakeClock, tmp_path: Path) -> AsyncIterator[Rig]:
    answer = FakeAnswer(BODY, content_length=len(BODY), headers={"content-length": str(len(BODY))})
    made = Rig(clock, tmp_path, FakeUpstream(answer))
    yield made
    await made.close()


@asynccontextmanager
async def _server(rig: Rig) -> AsyncIterator[str]:
    async with serving(rig.plane.handle) as url:
        yield url


async def send(
    rig: Rig, body: bytes | None = None, *headers: str, path: str = CHAT, key: str = SECRET
) -> Answer:
    sent = body if body is not None else body_of()
    async with _server(rig) as url, connected(url) as raw:
        await raw.send(request(path, sent, key, *headers))
        return await raw.answer()


async def records(rig: Rig) -> list[str]:
    """The kinds of what was journalled, in order."""
    return [entry.kind for entry in await rig.behind.journal()]


async def test_a_call_passes_all_stations_and_is_booked(rig: Rig) -> None:
    answer = await send(rig)

    assert (answer.status, answer.body) == (200, BODY)
    assert answer.headers["x-bursar-budget"] == "month"
    assert answer.headers["x-bursar-budget-remaining"].endswith(" USD")
    assert answer.headers["x-bursar-call-id"].startswith("call_")
    assert await records(rig) == ["admitted", "settle"]
    (entry,) = (each for each in await rig.behind.journal() if each.kind == "settle")
    assert entry.movements[0].spent == COST
    assert len(rig.leases) == 0
    assert rig.keys.refreshed == 0


async def test_a_call_is_in_flight_until_its_end(rig: Rig) -> None:
    seen: list[int] = []

    async def look() -> None:
        seen.append(len(rig.leases))

    rig.upstream._answers = [FakeAnswer(look, BODY)]

    await send(rig)

    assert (seen, len(rig.leases)) == ([1], 0)


async def test_a_call_that_no_budget_counts_has_no_budget_in_its_headers(rig: Rig) -> None:
    rig.rulebook = Rulebook(teams={"red": Team(name="red")})

    answer = await send(rig)

    assert answer.status == 200
    assert "x-bursar-budget" not in answer.headers


async def test_budgets_that_warn_are_named_and_shadows_are_not(rig: Rig) -> None:
    watching = {
        "soft": replace(MONTH, name="soft", limit=1, mode="warn"),
        "hidden": replace(MONTH, name="hidden", limit=1, mode="shadow"),
    }
    rig.rulebook = replace(rig.rulebook, budgets=watching)

    answer = await send(rig)

    assert answer.headers["x-bursar-warning"] == "soft"
    assert "call_would_be_refused" in rig.logs.names


async def test_a_packed_request_is_understood_and_sent_as_it_came(rig: Rig) -> None:
    packed = gzip.compress(body_of())

    answer = await send(rig, packed, "content-encoding: gzip")

    assert answer.status == 200
    assert rig.upstream.sent[0][2] == packed


# Each station can end it…


@pytest.mark.parametrize(
    ("body", "headers", "path", "key", "status"),
    [
        (body_of(), (), CHAT, "bsr_wrong", 401),
        (b"x" * 10_001, (), CHAT, SECRET, 413),
        (b"no gzip", ("content-encoding: gzip",), CHAT, SECRET, 400),
        (b"{", (), CHAT, SECRET, 400),
        (b'{"input":"x","model":"m"}', (), "/v1/messages", SECRET, 400),
        (body_of(model="nobody/knows"), (), CHAT, SECRET, 400),
        (body_of(max_tokens=10**6), (), CHAT, SECRET, 402),
    ],
    ids=["authenticate", "read", "unpack", "parse", "understand", "quote", "admit"],
)
async def test_a_call_that_is_refused_is_neither_held_nor_sent(
    rig: Rig, body: bytes, headers: tuple[str, ...], path: str, key: str, status: int
) -> None:
    rig.rulebook = replace(rig.rulebook, budgets={"month": replace(MONTH, limit=10**6)})

    answer = await send(rig, body, *headers, path=path, key=key)

    assert answer.status == status
    assert rig.upstream.sent == []
    assert await records(rig) == (["refused"] if status == 402 else [])
    assert rig.logs.names == ["call_refused"]


async def test_a_team_that_may_not_use_a_model_is_refused(rig: Rig) -> None:
    rig.rulebook = Rulebook(teams={"red": Team(name="red", models=("other/*",))})

    assert (await send(rig)).status == 403
    assert rig.ledger.asked == []


GOES_ON = body_of(messages=None, max_tokens=5, input="Hi", previous_response_id="resp_1")


@pytest.mark.parametrize(("team", "status"), [("red", 200), ("blue", 404), (None, 404)])
async def test_a_call_goes_on_from_its_own_teams_answers_alone(
    rig: Rig, team: str | None, status: int
) -> None:
    if team is not None:
        await rig.owners.remember("resp_1", team, "fake")

    answer = await send(rig, GOES_ON, path="/v1/responses")

    assert answer.status == status
    assert bool(rig.upstream.sent) is (status == 200)


# Keys that change meanwhile…


async def test_a_key_that_was_revoked_meanwhile_lets_go_of_its_reservation(rig: Rig) -> None:
    rig.behind.keys_version = 1
    rig.keys.next = Invalid("revoked")

    answer = await send(rig)

    assert answer.status == 401
    assert rig.upstream.sent == []
    assert await records(rig) == ["admitted", "release"]


async def test_a_key_that_still_holds_passes(rig: Rig) -> None:
    rig.behind.keys_version = 1

    answer = await send(rig)

    assert (answer.status, rig.keys.refreshed) == (200, 1)


@pytest.mark.parametrize("fault", [LedgerUnavailable("away"), LedgerRefused("ERR no")], ids=repr)
async def test_where_nobody_says_whether_the_key_holds_the_reservation_is_let_go(
    rig: Rig, fault: Exception
) -> None:
    rig.behind.keys_version = 1
    rig.keys.next = fault

    answer = await send(rig)

    assert answer.status == 503
    assert rig.upstream.sent == []
    assert await records(rig) == ["admitted", "release"]


async def test_what_may_be_held_for_a_call_that_the_ledger_did_not_answer_is_let_go(
    rig: Rig,
) -> None:
    rig.ledger.fail("reserve", after=True)

    answer = await send(rig)

    assert answer.status == 503
    (waiting,) = rig.write_ahead.waiting()
    assert isinstance(waiting, Unbooked)
    assert (waiting.operation.value, waiting.on_allowance) == ("release", True)


async def test_without_the_ledger_a_call_goes_on_its_allowance(rig: Rig) -> None:
    lenient = replace(MONTH, when_ledger_down_nano_usd=10**9)
    rig.rulebook = replace(rig.rulebook, budgets={"month": lenient})
    rig.ledger.away = True

    answer = await send(rig)

    assert answer.status == 200
    assert rig.keys.refreshed == 0
    (waiting,) = rig.write_ahead.waiting()
    assert waiting.amounts.nano_usd == COST
