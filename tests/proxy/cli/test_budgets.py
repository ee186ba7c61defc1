"""`bursar budgets`: a row for each counter, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policies.units import CALLS, USD
from proxy.cli.budgets import amount_cell, limit_cell
from proxy.cli.configuration import Configuration
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.main import run
from proxy.receipts.ghosts import Ghost, Ghosts
from tests.proxy.cli.ledgers import some_calls

Output = pytest.CaptureFixture[str]


def test_programs_get_rows_as_the_admin_plane_has_them(
    configuration: Configuration, capsys: Output
) -> None:
    some_calls(configuration)

    assert run(["budgets", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    rows = {(row["name"], row["subject"]): row for row in found["items"]}
    assert found["cursor"] is None
    assert set(rows) == {
        ("all", None),
        ("red-each", "alice"),
        ("red-each", "bob"),
        ("blue-calls", None),
    }
    assert rows["all", None]["spent"] == {"nano_usd": 3_000_000_000, "usd": "3"}
    assert rows["all", None]["reserved"]["usd"] == "2"
    assert rows["all", None]["remaining"]["usd"] == "95"
    assert rows["red-each", "bob"]["remaining"]["usd"] == "8"
    assert rows["red-each", "bob"]["window"]["end"] is not None


def test_people_get_a_table(configuration: Configuration, capsys: Output) -> None:
    some_calls(configuration)

    assert run(["budgets"]) == 0

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "budget for spent reserved remaining limit resets"
    assert lines[2] == "all █··········· $3.00 $2.00 $95.00 $100.00 never"
    assert lines[3].startswith("red-each alice ████········ $3.00 $7.00 $10.00 in ")
    assert lines[4].startswith("red-each bob ▒▒▒········· $0.00 $2.00 $8.00 $10.00 in ")
    assert lines[5].startswith("blue-calls (warn) ············ 0 5 5 calls rolls, 1h")


def test_what_no_call_explains_is_listed_without_a_limit(
    configuration: Configuration, capsys: Output
) -> None:
    async def work(access: LedgerAccess) -> None:
        ledger, rulebook = access.ledger, configuration.rulebook
        ghosts = Ghosts(ledger, access.commands, ledger.keys, lambda: rulebook.unattributed)
        ghost = Ghost(provider="sim", id="r:1", kind="row", at_ms=0, nano_usd=2_000_000_000)
        await ghosts.book(ghost)

    with_ledger(configuration, work)

    assert run(["budgets"]) == 0

    last = " ".join(capsys.readouterr().out.splitlines()[-1].split())
    assert last.startswith("unattributed (shadow) $2.00 none in ")


def test_a_budget_for_each_of_nobody_says_so(folder: Path, capsys: Output) -> None:
    assert run(["budgets"]) == 0

    assert "no user yet" in capsys.readouterr().out


def test_no_budget_is_said(folder: Path, capsys: Output) -> None:
    (folder / "policies.yaml").write_text("teams: {red: {}}\n")

    assert run(["budgets"]) == 0

    assert "There is no budget yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("unit", "amount", "said"),
    [
        (USD, 0, "$0.00"),
        (USD, 1, "$0.0001"),
        (USD, 1_234_567_890_000, "$1,234.57"),
        ("DIEM", 2_500_000_000, "2.50 DIEM"),
        (CALLS, 12_000, "12,000 calls"),
    ],
)
def test_amounts_are_written_for_people(unit: str, amount: int, said: str) -> None:
    assert limit_cell(unit, amount) == said
    assert said.startswith(amount_cell(unit, amount))
