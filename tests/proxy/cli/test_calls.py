"""`bursar calls`: the life of a call."""

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
    assert said == "bursar: the ledger has no record of call call_nobody\n"


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
