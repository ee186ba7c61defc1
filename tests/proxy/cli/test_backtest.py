"""`bursar backtest`: past calls under the policy that was in force, and under another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policies.budgets import Budget
from policies.rulebook_text import as_document
from policies.units import USD
from policies.windows import Lifetime
from proxy.archive.rebuild import Sources
from proxy.archive.work import ArchiveWork
from proxy.cli.archive_access import open_archive
from proxy.cli.configuration import Configuration
from proxy.cli.ledger_sources import with_sources
from proxy.cli.main import run
from tests.doubles.archived import archive_entries
from tests.doubles.journal_rows import asked, check, entry, move
from tests.doubles.past_calls import rulebook_of
from tests.proxy.cli.ledgers import some_calls

DOLLAR = 1_000_000_000
Output = pytest.CaptureFixture[str]

TIGHTER = """
teams:
  red: {models: ["*"], members: [alice, bob], accept: [user]}
budgets:
  - {name: small, limit: 4 USD, window: day}
  - {name: seen, limit: 1 USD, window: month, mode: shadow}
"""
WIDER = """
teams: {red: {}}
budgets: [{name: all, limit: 900 USD, window: lifetime}]
"""


def said(capsys: Output, *words: str, status: int = 0) -> Any:
    assert run(["backtest", *words, "--json"]) == status
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def calls(configuration: Configuration) -> Configuration:
    """Three calls: settled at $3 ($5 quoted), in flight at $2, refused at $9 by red-each."""
    some_calls(configuration)

    async def flush(_: Sources, archive: ArchiveWork) -> None:
        await archive.flush()

    with_sources(configuration, flush)
    return configuration


@pytest.mark.parametrize("words", [(), ("--policy", "in-force"), ("--since", "1h")])
@pytest.mark.usefixtures("calls")
def test_under_the_policy_in_force_every_decision_comes_out_as_it_was_recorded(
    capsys: Output, words: tuple[str, ...]
) -> None:
    found = said(capsys, *words)

    assert (found["decisions"], found["refusals"], found["different"]) == (3, 1, 0)
    assert (found["unaccounted"], found["without_checks"], found["unreadable"]) == (0, 0, 0)
    assert run(["backtest", *words]) == 0
    assert "3 of 3 decisions come out as they were recorded, 1 of them refusals" in (
        capsys.readouterr().out
    )


@pytest.mark.usefixtures("calls")
def test_a_tighter_policy_says_who_is_refused_and_when(capsys: Output, folder: Path) -> None:
    (folder / "new.yaml").write_text(TIGHTER)

    found = said(capsys, "--policy", "new.yaml")

    assert (found["calls"], found["refused"], found["newly_refused"]) == (3, 2, 1)
    # $5 did not fit into $4; what is held back is what it was charged in the end.
    assert found["held_back"] == "3 USD"
    lines = {row["budget"]: row for row in found["items"]}
    assert lines["small"]["first_refusal_call"] == "call_settled"
    assert lines["small"]["team"] == "red"
    assert (lines["small"]["refused"], lines["small"]["newly_refused"]) == (2, 1)
    assert lines["seen"]["noticed"] == 3
    assert len(found["assumptions"]) >= 5


@pytest.mark.usefixtures("calls")
def test_a_wider_policy_says_what_would_pass(capsys: Output, folder: Path) -> None:
    (folder / "new").mkdir()
    (folder / "new" / "wide.yaml").write_text(WIDER)

    found = said(capsys, "--policy", "new", "--since", "1d")

    assert (found["refused"], found["newly_admitted"], found["admitted_more"]) == (0, 1, "9 USD")
    (line,) = found["items"]
    assert (line["budget"], line["newly_admitted"]) == ("red-each", 1)


@pytest.mark.usefixtures("calls")
def test_people_read_a_table_and_what_was_assumed(capsys: Output, folder: Path) -> None:
    (folder / "new.yaml").write_text(TIGHTER)

    assert run(["backtest", "--policy", "new.yaml"]) == 0

    printed = capsys.readouterr()
    assert "small" in printed.out
    assert "2 refused, 1 of which had passed, worth $3" in printed.out
    assert "Assumed:" in printed.err


@pytest.mark.usefixtures("calls")
def test_other_times_are_other_calls(capsys: Output, folder: Path) -> None:
    (folder / "new.yaml").write_text(TIGHTER)

    assert said(capsys, "--until", "1h")["decisions"] == 0
    assert said(capsys, "--policy", "new.yaml", "--until", "1h")["calls"] == 0


def test_a_policy_that_was_in_force_once_is_tried_by_its_version(
    calls: Configuration, capsys: Output
) -> None:
    once = rulebook_of([Budget(name="once", unit=USD, limit=4 * DOLLAR, window=Lifetime())])
    data = {"version": once.version, "document": as_document(once)}
    with open_archive(calls.settings) as database:
        loaded = entry("policies_loaded", None, data)
        archive_entries(database, calls.rulebook.organization, [loaded])

    found = said(capsys, "--policy", once.version)

    assert (found["policy"], found["newly_refused"]) == (once.version, 1)
    assert run(["backtest", "--policy", "0123456789ab"]) == 2
    assert "no policy of version" in capsys.readouterr().err


def test_a_decision_that_comes_out_otherwise_is_named(
    configuration: Configuration, capsys: Output
) -> None:
    with open_archive(configuration.settings) as database:
        refused = entry("refused", "call_1", asked(), [move()], [check(short=True)])
        archive_entries(database, configuration.rulebook.organization, [refused])

    found = said(capsys, status=1)

    (difference,) = found["differences"]
    assert (difference["number"], difference["call_id"]) == (1, "call_1")
    assert difference["recorded"] == "refused by team-month (no room: team-month)"
    assert difference["decided"] == "admitted"
    assert run(["backtest"]) == 1
    assert "entry 1 (" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--policy", "gone.yaml"), "'gone.yaml' is not there"),
        (("--policy", "in-force", "--policy", "policies.yaml"), "goes alone"),
        (("--since", "1h", "--until", "2h"), "nothing lies between"),
        (("--since", "soon"), "is not a time"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_makes_no_sense_is_said(
    capsys: Output, words: tuple[str, ...], complaint: str
) -> None:
    assert run(["backtest", *words]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.usefixtures("calls")
def test_a_policy_with_mistakes_names_their_lines(capsys: Output, folder: Path) -> None:
    (folder / "new.yaml").write_text("budgets: [{name: all, limit: 5 apples, window: day}]\n")

    assert run(["backtest", "--policy", "new.yaml"]) == 2
    assert "new.yaml:1" in capsys.readouterr().err
