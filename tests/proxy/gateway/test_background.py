"""Answers that come later are asked for until they say what they cost, or will not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from policies.ledger.memory import LEASE_MS, MemoryLedger
from policies.usage import Exact, Unknown
from proxy.dialects.interface import Reading
from proxy.gateway import background as polling
from proxy.gateway.background import GIVE_UP_S, REFUSALS_MAX, WAIT_S_MAX, Background
from proxy.gateway.call import Passage
from proxy.gateway.leases import Leases
from proxy.providers.connection import MaybeSent, NeverSent
from proxy.tasks import Tasks
from tests.doubles.calls import arrival, body_of, passage, quoted, ticket
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_provider import FakeProvider
from tests.doubles.fake_upstream import FakeAnswer, FakeUpstream
from tests.doubles.recorders import Recorder
from tests.doubles.waiting import until

QUEUED = Reading(metered=Unknown(), status="queued", generation_ids=("resp_1", "req_2"))


def answer(status: str, **more: object) -> FakeAnswer:
    document = json.dumps({"id": "resp_1", "status": status, "model": "acme/mini", **more})
    return FakeAnswer(document[:20].encode(), document[20:].encode())


def completed() -> FakeAnswer:
    return answer("completed", usage={"input_tokens": 7, "output_tokens": 3})


class Rig:
    """A poller, and what it was told in the end."""

    def __init__(self, clock: FakeClock) -> None:
        self.upstream = FakeUpstream()
        self.tasks = Tasks(self.failed)
        self.leases = Leases(MemoryLedger(clock), LEASE_MS, Recorder())
        self.pauses: list[float] = []
        self.ended: list[tuple[Passage, Reading]] = []
        self.background = Background(
            upstream=self.upstream, leases=self.leases, tasks=self.tasks, sleep=self._pause
        )

    def failed(self, fault: BaseException) -> None:
        raise fault

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def _ended(self, passed: Passage, reading: Reading) -> None:
        self.ended.append((passed, reading))

    def take(self, reading: Reading = QUEUED, provider: FakeProvider | None = None) -> bool:
        body = body_of(messages=None, max_tokens=None, input="Hi", background=True)
        call = quoted(came=arrival("/v1/responses", body=body), provider=provider)
        return self.background.take(passage(ticket(call)), reading, self._ended)

    async def poll(self, *answers: FakeAnswer | BaseException) -> tuple[Passage, Reading]:
        self.upstream._answers = list(answers)
        assert self.take()
        await until(lambda: not len(self.tasks))
        (found,) = self.ended
        return found


@pytest.fixture
async def rig(clock: FakeClock) -> AsyncIterator[Rig]:
    made = Rig(clock)
    yield made
    await made.tasks.close()


async def test_it_is_asked_until_it_is_there(rig: Rig) -> None:
    passed, reading = await rig.poll(answer("queued"), answer("in_progress"), completed())

    assert isinstance(reading.metered, Exact)
    assert not passed.cut
    assert [str(target.url) for target, _, _ in rig.upstream.sent] == [
        "http://fake.test/resp_1"
    ] * 3
    assert rig.upstream.sent[0][1:] == ([("authorization", "Bearer sk-fake")], None)
    assert rig.pauses == [1.0, 1.5, 2.25]
    assert (rig.background.polled, len(rig.leases)) == (0, 0)


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled"])
async def test_every_end_is_an_end(rig: Rig, status: str) -> None:
    _, reading = await rig.poll(answer(status))

    assert reading.status == status


async def test_a_call_is_in_flight_while_it_is_polled_for(rig: Rig) -> None:
    rig.upstream._answers = [completed()]

    assert rig.take()

    assert (rig.background.polled, len(rig.leases)) == (1, 1)
    await until(lambda: not len(rig.tasks))


@pytest.mark.parametrize(
    "trouble",
    [
        NeverSent("no route"),
        MaybeSent("reset"),
        FakeAnswer(b"<html>", status=502),
        FakeAnswer(b"", status=429),
        FakeAnswer(b"{}"),
        FakeAnswer(b"["),
    ],
    ids=["unreachable", "cut", "html", "busy", "no status", "no JSON"],
)
async def test_trouble_is_waited_out(rig: Rig, trouble: FakeAnswer | BaseException) -> None:
    passed, reading = await rig.poll(trouble, completed())

    assert isinstance(reading.metered, Exact)
    assert not passed.cut


async def test_a_provider_that_keeps_no_answers_is_not_asked_for_ever(rig: Rig) -> None:
    passed, reading = await rig.poll(*[FakeAnswer(status=404) for _ in range(99)])

    assert len(rig.upstream.sent) == REFUSALS_MAX
    assert reading is QUEUED
    assert passed.cut


async def test_a_provider_that_is_behind_is_asked_again(rig: Rig) -> None:
    late = [FakeAnswer(status=404) for _ in range(REFUSALS_MAX - 1)]

    _, reading = await rig.poll(*late, answer("queued"), *late, completed())

    assert isinstance(reading.metered, Exact)


async def test_an_answer_that_never_comes_is_given_up(rig: Rig) -> None:
    passed, reading = await rig.poll(*[answer("in_progress") for _ in range(2_000)])

    assert reading.status == "in_progress"
    assert passed.cut
    assert GIVE_UP_S <= sum(rig.pauses) < GIVE_UP_S + WAIT_S_MAX
    assert max(rig.pauses) == WAIT_S_MAX


async def test_what_cannot_be_asked_for_is_not_taken(rig: Rig) -> None:
    assert not rig.take(Reading(metered=Unknown(), status="queued"))


async def test_only_so_many_are_polled_for(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "POLLED_MAX", 1)
    rig.upstream._answers = [completed()]

    assert rig.take()
    assert not rig.take()
    await until(lambda: not len(rig.tasks))
    rig.upstream._answers = [completed()]
    assert rig.take()
    await until(lambda: not len(rig.tasks))
