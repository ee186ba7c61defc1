"""What is free: forwarded without a quote, to the provider that it belongs to, for those it belongs to."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from policies.rulebook import Rulebook, Team
from proxy.gateway.route import Router
from proxy.providers.connection import MaybeSent, NeverSent
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_provider import FakeProvider
from tests.doubles.fake_upstream import FakeAnswer, FakeUpstream
from tests.doubles.raw_http import Answer, connected, request
from tests.doubles.serving import serving
from tests.doubles.stations import SECRET, Rig

COUNT = "/v1/messages/count_tokens"
STORED = "/v1/responses/resp_1"
LIST = b'{"data":[{"id":"acme/mini"}]}'


@pytest.fixture
async def rig(clock: FakeClock, tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(clock, tmp_path, FakeUpstream())
    yield made
    await made.close()


async def ask(
    rig: Rig,
    path: str,
    *answers: FakeAnswer | BaseException,
    method: str = "GET",
    body: bytes = b"",
    headers: tuple[str, ...] = (),
) -> Answer:
    rig.upstream._answers = list(answers)
    async with serving(rig.plane.handle) as url, connected(url) as raw:
        await raw.send(request(path, body, SECRET, *headers, method=method))
        return await raw.answer()


async def test_a_list_is_forwarded_with_our_key_and_relayed(rig: Rig) -> None:
    answer = await ask(
        rig, "/v1/models", FakeAnswer(LIST[:9], LIST[9:], headers={"x-up": "1", "set-cookie": "a"})
    )

    assert (answer.status, answer.body) == (200, LIST)
    assert answer.headers["x-up"] == "1"
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-bursar-call-id"].startswith("call_")
    ((target, headers, body),) = rig.upstream.sent
    assert str(target.url) == "http://fake.test/models"
    assert ("authorization", "Bearer sk-fake") in headers
    assert SECRET not in json.dumps(headers)
    assert body is None
    assert rig.ledger.asked == []


async def test_tokens_are_counted_for_nothing(rig: Rig) -> None:
    body = b'{"model":"acme/mini","messages":[]}'

    answer = await ask(rig, COUNT, FakeAnswer(b'{"input_tokens":7}'), method="POST", body=body)

    assert answer.document == {"input_tokens": 7}
    assert rig.upstream.sent[0][2] == body


@pytest.mark.parametrize("packed", [True, False])
async def test_a_model_that_a_team_may_not_use_is_not_counted_for_it(
    rig: Rig, packed: bool
) -> None:
    rig.rulebook = Rulebook(teams={"red": Team(name="red", models=("other/*",))})
    body = b'{"model":"acme/mini","messages":[]}'
    headers = ("content-encoding: gzip",) if packed else ()

    answer = await ask(
        rig, COUNT, method="POST", body=gzip.compress(body) if packed else body, headers=headers
    )

    assert answer.status == 403
    assert "may not use model 'acme/mini'" in json.dumps(answer.document)
    assert rig.upstream.sent == []


async def test_a_team_without_a_policy_may_use_nothing(rig: Rig) -> None:
    rig.rulebook = Rulebook()

    answer = await ask(rig, COUNT, method="POST", body=b'{"model":"acme/mini"}')

    assert answer.status == 403


async def test_a_model_in_the_path_is_looked_at_as_well(rig: Rig) -> None:
    rig.rulebook = Rulebook(teams={"red": Team(name="red", models=("other/*",))})

    answer = await ask(
        rig, "/v1beta/models/gemini-pro:countTokens", method="POST", body=b'{"contents":[]}'
    )

    assert answer.status == 403


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", ()),
        (b"{", ()),
        (b"[" * 9_000, ()),
        (b'{"model":7}', ()),
        (b"no gzip", ("content-encoding: gzip",)),
        (b"{}", ("content-encoding: snappy",)),
    ],
    ids=["nothing", "half", "deep", "number", "not packed", "unknown"],
)
async def test_a_body_that_cannot_be_read_names_no_model(
    rig: Rig, body: bytes, headers: tuple[str, ...]
) -> None:
    """It is free: what is wrong with it, the provider says."""
    answer = await ask(
        rig, COUNT, FakeAnswer(b"{}", status=400), method="POST", body=body, headers=headers
    )

    assert answer.status == 400
    assert len(rig.upstream.sent) == 1


async def test_a_body_that_is_too_long_is_not_read(rig: Rig) -> None:
    answer = await ask(rig, COUNT, method="POST", body=b"x" * 10_001)

    assert answer.status == 413
    assert rig.upstream.sent == []


async def test_a_request_that_leads_nowhere_is_told_so(rig: Rig) -> None:
    rig.plane._free._router = Router(
        {"fake": FakeProvider(lacks=frozenset({"chat_completions"}))}, []
    )

    assert (await ask(rig, "/v1/models")).status == 404


# Stored answers…


async def test_a_stored_answer_is_fetched_from_the_provider_that_has_it(rig: Rig) -> None:
    await rig.owners.remember("resp_1", "red", "fake")

    answer = await ask(rig, STORED, FakeAnswer(b'{"id":"resp_1"}'))

    assert answer.document == {"id": "resp_1"}
    assert str(rig.upstream.sent[0][0].url) == "http://fake.test/resp_1"


async def test_a_stored_answer_can_be_cancelled(rig: Rig) -> None:
    await rig.owners.remember("resp_1", "red", "fake")

    answer = await ask(rig, f"{STORED}/cancel", FakeAnswer(b"{}"), method="POST")

    assert answer.status == 200


@pytest.mark.parametrize("team", ["blue", None])
async def test_anothers_answer_is_as_if_it_were_not_there(rig: Rig, team: str | None) -> None:
    if team is not None:
        await rig.owners.remember("resp_1", team, "fake")

    answer = await ask(rig, STORED)

    assert answer.status == 404
    assert "no answer 'resp_1' of team 'red'" in json.dumps(answer.document)
    assert rig.upstream.sent == []


async def test_a_provider_that_is_gone_has_no_answers(rig: Rig) -> None:
    await rig.owners.remember("resp_1", "red", "gone")

    answer = await ask(rig, STORED)

    assert answer.status == 404
    assert "not configured any more" in json.dumps(answer.document)


async def test_without_the_ledger_nobody_knows_whose_answer_it_is(rig: Rig) -> None:
    rig.commands.away = True

    assert (await ask(rig, STORED)).status == 503


# Trouble…


@pytest.mark.parametrize("fault", [NeverSent("no route"), MaybeSent("reset")], ids=str)
async def test_no_answer_is_told(rig: Rig, fault: BaseException) -> None:
    answer = await ask(rig, "/v1/models", fault)

    assert answer.status == 502
    assert "provider 'fake' did not answer" in json.dumps(answer.document)


@pytest.mark.parametrize("status", [401, 404, 429, 500])
async def test_errors_are_passed_on(rig: Rig, status: int) -> None:
    answer = await ask(rig, "/v1/models", FakeAnswer(b'{"error":{}}', status=status))

    assert (answer.status, answer.body) == (status, b'{"error":{}}')


async def test_a_redirect_is_not_passed_on(rig: Rig) -> None:
    redirect = FakeAnswer(status=302, headers={"location": "http://elsewhere.test"})

    answer = await ask(rig, "/v1/models", redirect)

    assert answer.status == 502
    assert "location" not in answer.headers
    assert redirect.ends == ["released"]


async def test_a_list_that_was_cut_is_not_taken_for_the_whole(rig: Rig) -> None:
    cut = FakeAnswer(LIST[:9], aiohttp.ClientPayloadError("cut"))

    answer = await ask(rig, "/v1/models", cut)

    assert not answer.whole


async def test_what_nobody_reads_any_more_is_hung_up_on(rig: Rig) -> None:
    pieces = [b"x" * 65_536] * 500
    answer = FakeAnswer(*pieces)
    rig.upstream._answers = [answer]

    async with serving(rig.plane.handle) as url, connected(url, receive_bytes=4_096) as raw:
        await raw.send(request("/v1/models", b"", SECRET, method="GET"))
        await raw.head()
        raw.reset()
        await rig.calls.drain(20)

    assert answer.ends[-1] == "closed"
    assert answer.left_over > 0
