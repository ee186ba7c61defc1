"""Every admitted call ends in the ledger, once, however it ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from policies.decisions import Admitted
from policies.learning import Learning
from policies.ledger.interface import Admission
from policies.ledger.memory import LEASE_MS, MemoryLedger
from policies.usage import Exact, Unknown, Usage, UsageLine
from proxy.dialects.interface import Reading
from proxy.gateway.allowance import Allowance
from proxy.gateway.background import Background
from proxy.gateway.books import Books
from proxy.gateway.call import Passage, Ticket
from proxy.gateway.ending import Endings
from proxy.gateway.leases import Leases
from proxy.gateway.owners import ResponseOwners
from proxy.gateway.settle import Settler
from proxy.gateway.write_ahead import WriteAhead
from proxy.tasks import Tasks
from tests.doubles.calls import FakePrices, arrival, body_of, passage, quoted, ticket
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_commands import FakeCommands
from tests.doubles.fake_upstream import FakeAnswer, FakeUpstream, never
from tests.doubles.flaky_ledger import FlakyLedger
from tests.doubles.recorders import Recorder
from tests.doubles.waiting import until

EXACT = Exact((UsageLine(usage=Usage(input_tokens=7, output_tokens=3)),))
DONE = {
    "id": "resp_1",
    "status": "completed",
    "model": "acme/mini",
    "usage": {"input_tokens": 7, "output_tokens": 3},
}


class Rig:
    """Endings, and everything that they lead to."""

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        self.ledger = FlakyLedger(MemoryLedger(clock))
        self.write_ahead = WriteAhead(folder)
        self.recorder = Recorder()
        self.commands = FakeCommands()
        self.tasks = Tasks()
        self.leases = Leases(self.ledger, LEASE_MS, self.recorder)
        self.upstream = FakeUpstream()
        self.owners = ResponseOwners(self.commands, "acme")
        self.background = Background(
            upstream=self.upstream, leases=self.leases, tasks=self.tasks, sleep=_no_pause
        )
        self.endings = Endings(
            ledger=self.ledger,
            settler=Settler(FakePrices(), Learning()),
            books=Books(self.ledger, self.write_ahead, Allowance(), self.recorder),
            background=self.background,
            owners=self.owners,
        )

    async def admitted(self, *, responses: bool = False, background: bool = False) -> Ticket:
        body = body_of(messages=None, max_tokens=None, input="Hi", background=background or None)
        made = ticket(quoted(came=arrival("/v1/responses", body=body)) if responses else quoted())
        call = made.quoted
        decision = await self.ledger.behind.reserve(
            "call_a", call.asks, data=call.data, admission=Admission.DECIDE
        )
        assert isinstance(decision, Admitted)
        return replace(made, reservation=decision.reservation)

    async def record(self) -> tuple[str, tuple[int, ...], tuple[str, ...]]:
        found = await self.ledger.behind.find("call_a")
        assert found is not None
        return found.state.value, found.charged, found.generation_ids

    async def outcome(self) -> object:
        found = await self.ledger.behind.find("call_a")
        assert found is not None
        return json.loads(found.outcome)


async def _no_pause(seconds: float) -> None:
    assert seconds > 0


@pytest.fixture
async def rig(clock: FakeClock, tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(clock, tmp_path)
    yield made
    await made.tasks.close()
    made.write_ahead.close()


async def test_a_call_that_is_not_sent_after_all_is_released(rig: Rig) -> None:
    await rig.endings.unused(await rig.admitted(), "the key was revoked meanwhile")

    assert (await rig.record())[0] == "released"
    assert await rig.outcome() == {
        "reason": "the key was revoked meanwhile",
        "generation_ids": [],
    }


@pytest.mark.parametrize(
    ("how", "state"),
    [
        ("unsent", "released"),
        ("unanswered", "settled"),
        ("refused", "released"),
        ("late", "settled"),
    ],
)
async def test_each_way_to_end_is_booked(rig: Rig, how: str, state: str) -> None:
    passed = passage(await rig.admitted())

    match how:
        case "unsent":
            await rig.endings.unsent(passed, "no route")
        case "unanswered":
            await rig.endings.unanswered(passed, "reset")
        case "refused":
            await rig.endings.refused(passed, 400, "no")
        case _:
            await rig.endings.refused(passed, 504, "late")

    assert passed.ended
    held = passed.ticket.quoted.asks[0].held
    assert await rig.record() == (state, (held if state == "settled" else 0,), ())


async def test_an_answer_is_booked_at_what_it_cost(rig: Rig) -> None:
    passed = passage(await rig.admitted())

    await rig.endings.answered(passed, Reading(metered=EXACT, model="acme/mini"))

    assert await rig.record() == ("settled", (7 * 1_000 + 3 * 10_000,), ())
    assert rig.recorder.events == [("booked", "settled")]


# Ids…


async def test_ids_are_noted_while_the_call_is_under_way(rig: Rig) -> None:
    passed = passage(await rig.admitted(), headers={"x-generation-id": "gen-1"})
    passed.body_ids.append("chatcmpl-1")

    await rig.endings.seen(passed, "chatcmpl-1")

    assert passed.ids_noted
    assert await rig.record() == ("reserved", (), ("gen-1", "chatcmpl-1"))
    assert rig.commands.values == {}


async def test_without_the_ledger_ids_come_with_the_settlement(rig: Rig) -> None:
    passed = passage(await rig.admitted())
    rig.ledger.fail("note")

    await rig.endings.seen(passed, "chatcmpl-1")

    assert passed.ids_noted


async def test_a_call_that_the_ledger_does_not_know_has_nothing_noted(rig: Rig) -> None:
    await rig.endings.seen(passage(ticket(on_allowance=True)), "chatcmpl-1")

    assert rig.ledger.asked == []


async def test_whose_response_it_is_is_remembered_once(rig: Rig) -> None:
    passed = passage(await rig.admitted(responses=True))

    await rig.endings.seen(passed, "resp_1")
    rig.commands.values.clear()
    await rig.endings.answered(passed, Reading(metered=EXACT, generation_ids=("resp_1",)))

    assert rig.commands.values == {}


async def test_whose_response_it_is_is_remembered_at_its_end_at_the_latest(rig: Rig) -> None:
    passed = passage(await rig.admitted(responses=True))

    await rig.endings.answered(passed, Reading(metered=EXACT, generation_ids=("resp_1",)))

    assert await rig.owners.find("resp_1") == ("red", "fake")


# What comes later…


def queued(passed: Passage, status: str = "queued") -> Reading:
    passed.body_ids.append("resp_1")
    return Reading(metered=Unknown(), status=status, generation_ids=("resp_1",))


async def test_an_answer_that_is_only_queued_is_booked_when_it_is_there(rig: Rig) -> None:
    passed = passage(await rig.admitted(responses=True, background=True))
    rig.upstream._answers = [FakeAnswer(json.dumps(DONE).encode())]

    await rig.endings.answered(passed, queued(passed))
    assert passed.ended
    assert await rig.record() == ("reserved", (), ("resp_1",))
    assert len(rig.leases) == 1
    await until(lambda: not len(rig.tasks))

    assert await rig.record() == ("settled", (7 * 1_000 + 3 * 10_000,), ("resp_1",))
    assert len(rig.leases) == 0


@pytest.mark.parametrize("background", [True, False])
async def test_an_answer_that_nobody_will_finish_is_booked_as_it_is(
    rig: Rig, background: bool
) -> None:
    """A stream that was cut says `in_progress` as well; and one without an id cannot be asked for."""
    passed = passage(await rig.admitted(responses=True, background=background))
    reading = queued(passed, "in_progress")
    if background:
        reading = replace(reading, generation_ids=())

    await rig.endings.answered(passed, reading)

    assert (await rig.record())[0] == "settled"


async def test_a_worker_that_ends_leaves_a_queued_call_to_its_lease(rig: Rig) -> None:
    passed = passage(await rig.admitted(responses=True, background=True))
    rig.upstream._answers = [FakeAnswer(never)]
    await rig.endings.answered(passed, queued(passed))
    await until(lambda: bool(rig.upstream.sent))

    await rig.tasks.close()

    assert (await rig.record())[0] == "reserved"
    assert len(rig.leases) == 0
