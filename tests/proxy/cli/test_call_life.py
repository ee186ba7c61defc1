"""`bursar calls show`: the life of a call, as ledger and archive know it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.ledger.interface import Due
from policies.units import Amounts
from proxy.cli.configuration import Configuration
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.main import run
from proxy.receipts.ghosts import Ghost, Ghosts
from proxy.receipts.schedule import Schedule
from tests.doubles.lived_calls import Lives
from tests.proxy.cli.archives import LONG_AGO_MS, archived
from tests.proxy.cli.ledgers import USD, reserve, some_calls

Output = pytest.CaptureFixture[str]


def test_a_settled_call_shows_what_it_was_charged(
    configuration: Configuration, capsys: Output
) -> None:
    some_calls(configuration)

    assert run(["calls", "show", "call_settled"]) == 0

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "call call_settled settled" in lines
    assert "caller red, alice, key_1" in lines
    assert "model acme/mini at sim, messages" in lines
    assert "usage 20 input tokens, 100 output tokens" in lines
    assert "quoted $5" in lines
    assert "settled $3" in lines
    assert "known as gen_1" in lines
    assert "red-each alice $5 $3" in lines


def test_a_call_in_flight_has_no_charge_yet(configuration: Configuration, capsys: Output) -> None:
    some_calls(configuration)

    assert run(["calls", "show", "call_open"]) == 0

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "call call_open reserved" in lines
    assert "red-each bob $2" in lines


def test_programs_get_json(configuration: Configuration, capsys: Output) -> None:
    some_calls(configuration)

    assert run(["calls", "show", "call_settled", "--json"]) == 0

    call = json.loads(capsys.readouterr().out)
    assert call["state"] == "settled"
    assert call["settled"] == {"nano_usd": 3_000_000_000, "usd": "3"}
    assert call["charges"][1]["subject"] == "alice"


@pytest.mark.usefixtures("folder")
def test_an_unknown_call_is_a_failure(capsys: Output) -> None:
    assert run(["calls", "show", "call_nobody"]) == 1

    said = capsys.readouterr().err
    assert said == "bursar: neither ledger nor archive has a record of call call_nobody\n"


# The life of its receipt…


def receipted(configuration: Configuration, receipt: dict[str, Any]) -> None:
    """Put a call into the ledger that was metered at $3 and ended with a receipt, or without."""

    async def work(access: LedgerAccess) -> None:
        admitted = await reserve(access, configuration, "call_1", 5 * USD, user="alice")
        assert admitted is not None
        ledger, outcome = access.ledger, json.dumps({"nano_usd": 3 * USD})
        await ledger.settle(admitted.reservation, Amounts(nano_usd=3 * USD), outcome=outcome)
        end = json.dumps(receipt)
        if "nano_usd" in receipt:
            amounts = Amounts(nano_usd=receipt["nano_usd"])
            await ledger.receipt(admitted.reservation, amounts, outcome=end)
        else:
            await ledger.give_up(admitted.reservation, outcome=end)

    with_ledger(configuration, work)


def shown(capsys: Output, call_id: str = "call_1") -> list[str]:
    assert run(["calls", "show", call_id]) == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("receipt", "said"),
    [
        (
            {"source": "history", "nano_usd": 2 * USD, "settled_nano_usd": 3 * USD},
            "receipted $2, from the billing history, $1 less than metered (-33.3%)",
        ),
        (
            {"source": "answer", "nano_usd": 3 * USD, "settled_nano_usd": 3 * USD},
            "receipted $3, from the answer itself, as it was metered",
        ),
        (
            {"source": "look-up", "nano_usd": 1, "settled_nano_usd": 0},
            "receipted $0.000000001, from a look-up by id, $0.000000001 more than metered",
        ),
        (
            {"source": "look-up", "nano_usd": USD, "settled_nano_usd": None},
            "receipted $1, from a look-up by id",
        ),
        ({"given_up": "not billed yet"}, "receipt given up: not billed yet"),
        ({"never": "a subscription key"}, "receipt none will come: a subscription key"),
    ],
)
def test_the_end_of_a_receipt_is_shown(
    configuration: Configuration, capsys: Output, receipt: dict[str, Any], said: str
) -> None:
    receipted(configuration, receipt)

    lines = shown(capsys)

    assert said in lines
    assert "settled $3" in lines


def test_all_that_a_receipt_says_is_shown(configuration: Configuration, capsys: Output) -> None:
    receipted(
        configuration,
        {
            "source": "look-up",
            "nano_usd": 3 * USD,
            "settled_nano_usd": 3 * USD,
            "id": "gen_9",
            "credits": {"DIEM": USD},
            "breakdown": [["prompt", USD], ["completion", 2 * USD]],
            "usage_differs": True,
        },
    )

    lines = shown(capsys)

    assert "billed as gen_9" in lines
    assert "credits 1 DIEM" in lines
    assert "$2 completion" in lines
    assert "the provider counted other tokens than its answer said" in lines


def test_a_call_that_waits_says_since_when_and_what_does_not_add_up(
    configuration: Configuration, capsys: Output
) -> None:
    async def work(access: LedgerAccess) -> None:
        admitted = await reserve(access, configuration, "call_1", 5 * USD, user="alice")
        assert admitted is not None
        due = Due(queue="sim", after_ms=3_600_000)
        await access.ledger.settle(admitted.reservation, Amounts(), outcome="{}", due=due)
        schedule = Schedule(access.commands, access.ledger.keys, access.ledger.now_ms)
        await schedule.set_aside("sim", "call_1", "the amount is negative")

    with_ledger(configuration, work)

    lines = shown(capsys)

    waits = next(line for line in lines if line.startswith("receipt waited for since "))
    assert waits.endswith(("looked for in 1h", "looked for in 59m 59s"))
    assert "set aside the amount is negative" in lines


def test_a_ghost_is_no_call_of_anybody(configuration: Configuration, capsys: Output) -> None:
    ghost = Ghost(provider="sim", id="r:1", kind="row", at_ms=0, nano_usd=USD)

    async def work(access: LedgerAccess) -> None:
        ghosts = Ghosts(
            access.ledger,
            access.commands,
            access.ledger.keys,
            lambda: configuration.rulebook.unattributed,
        )
        await ghosts.book(ghost)
        await ghosts.take_back("sim", "r:1")

    with_ledger(configuration, work)

    lines = shown(capsys, ghost.call_id)

    assert "ghost a row of the billing history that no call of ours explains" in lines
    assert "model sim" in lines
    assert "receipted $0, a call of ours explains it" in lines


def test_a_call_that_the_ledger_forgot_is_in_the_archive(
    configuration: Configuration, capsys: Output
) -> None:
    lives = Lives()
    made = lives.call("receipted", at_ms=LONG_AGO_MS, user="alice", dollars=3)
    archived(configuration, lives)

    assert run(["calls", "show", made]) == 0

    shown = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert f"call {made} receipted" in lines
    assert "caller red, alice, key_1" in lines
    assert "settled $3" in lines
    assert any(line.startswith("receipted $3.1, from a look-up") for line in lines)
    assert "red-month $6 $3.1" in lines
    assert "2025-11-23 13:00:00 admitted 1 red-month reserved +$6" in lines
    assert "2025-11-23 13:00:01 settle 2 red-month spent +$3, reserved -$6" in lines
    assert "2025-11-23 13:01:00 receipt 3 red-month spent +$0.1" in lines


def test_entries_that_are_not_archived_yet_are_shown_all_the_same(
    configuration: Configuration, capsys: Output
) -> None:
    some_calls(configuration)

    assert run(["calls", "show", "call_refused"]) == 0

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "call call_refused refused" in lines
    assert any("refused not archived yet" in line for line in lines)


def test_without_the_archive_the_ledger_says_what_it_knows(
    configuration: Configuration, capsys: Output
) -> None:
    some_calls(configuration)
    broken = configuration.settings.data_dir / "archive.sqlite"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text("this is no database" * 100)

    assert run(["calls", "show", "call_settled"]) == 0
    shown = capsys.readouterr()
    assert "settled" in shown.out
    assert "The archive does not answer: entries are not shown" in shown.err

    assert run(["calls", "show", "call_nobody"]) == 1
    assert "the archive at" in capsys.readouterr().err
