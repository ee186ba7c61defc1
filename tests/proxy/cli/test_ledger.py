"""`bursar ledger`: compared with the archive, and given back what it lost."""

from __future__ import annotations

import getpass
import json
from typing import Any

import pytest

from proxy.cli.configuration import Configuration
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.main import run
from tests.doubles.emptied_redis import forget
from tests.proxy.cli.ledgers import USD, reserve, settle, some_calls

Output = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("folder")


def said(capsys: Output, *words: str, status: int = 0) -> Any:
    assert run([*words, "--json"]) == status
    return json.loads(capsys.readouterr().out)


def compared(capsys: Output, status: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = said(capsys, "ledger", "compare", "--all", status=status)
    return {row["counter"].split(":2")[0]: row for row in found["items"]}


def emptied(configuration: Configuration) -> None:
    async def work(access: LedgerAccess) -> None:
        await forget(access.commands, access.ledger.keys)

    with_ledger(configuration, work)


def test_a_ledger_that_nothing_happened_to_is_as_it_was_journalled(
    configuration: Configuration, capsys: Output
) -> None:
    some_calls(configuration)

    found = said(capsys, "ledger", "compare")

    assert (found["differs"], found["items"], found["in_flight"]) == (False, [], 1)
    # Nothing of it is archived yet: it was counted as if it were.
    assert found["not_archived"] == 4
    assert compared(capsys)["all:USD::lifetime"]["archive"] == {
        "spent": "3 USD",
        "reserved": "2 USD",
        "overrun": "0 USD",
    }


def test_a_counter_that_somebody_changed_is_shown(
    configuration: Configuration, capsys: Output
) -> None:
    some_calls(configuration)

    async def work(access: LedgerAccess) -> None:
        name = access.ledger.keys.counter("all:USD::lifetime")
        await access.commands.execute("HINCRBY", name, "spent", -USD)

    with_ledger(configuration, work)

    row = compared(capsys, status=1)["all:USD::lifetime"]
    assert (row["archive"]["spent"], row["ledger"]["spent"]) == ("3 USD", "2 USD")
    assert run(["ledger", "compare"]) == 1
    printed = capsys.readouterr()
    assert "all" in printed.out
    assert "$3" in printed.out
    assert "1 of 3 counters differ, 1 calls are in flight" in printed.err


def test_an_emptied_ledger_is_rebuilt(configuration: Configuration, capsys: Output) -> None:
    some_calls(configuration)
    before = said(capsys, "budgets")
    assert said(capsys, "ledger", "rebuild", "--yes")["raised"] == []
    emptied(configuration)
    lost = said(capsys, "ledger", "compare", status=1)
    assert lost["lost"] == ["call_open"]

    done = said(capsys, "ledger", "rebuild", "--yes")

    assert {row["counter"].split(":")[0] for row in done["raised"]} == {"all", "red-each"}
    assert done["calls"] == {"reserved": 1, "settled": 1}
    assert done["without_ids"] == 1
    assert done["without_keys"]
    assert said(capsys, "budgets") == before
    assert not said(capsys, "ledger", "compare")["differs"]

    async def work(access: LedgerAccess) -> None:
        record = await access.ledger.find("call_open")
        assert record is not None
        assert record.state == "reserved"

    with_ledger(configuration, work)


def test_a_rebuild_is_journalled_with_who_did_it(
    configuration: Configuration, capsys: Output
) -> None:
    some_calls(configuration)
    said(capsys, "ledger", "rebuild", "--yes")
    emptied(configuration)

    said(capsys, "ledger", "rebuild", "--yes")

    assert run(["audit", "tail", "--json"]) == 0
    entries = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (act,) = [each for each in entries if each["kind"] == "ledger_rebuilt"]
    assert (act["data"]["actor"], act["data"]["from"]) == (getpass.getuser(), "cli")
    assert (act["data"]["raised"], act["data"]["calls"]) == (2, {"reserved": 1, "settled": 1})


def test_what_is_rebuilt_is_told_to_people(configuration: Configuration, capsys: Output) -> None:
    some_calls(configuration)
    said(capsys, "ledger", "rebuild", "--yes")
    emptied(configuration)

    assert run(["ledger", "rebuild", "--yes"]) == 0

    printed = capsys.readouterr()
    assert "red-each" in printed.out
    assert "2 of 3 counters of open windows were raised" in printed.err
    assert "put back: 1 reserved, 1 settled calls" in printed.err
    assert "callers' keys" in printed.err
    assert "up to 1 calls" in printed.err


def test_a_grant_that_was_lost_is_put_back(configuration: Configuration, capsys: Output) -> None:
    some_calls(configuration)
    assert run(["budgets", "grant", "all", "5 USD", "--for", "3d", "--reason", "month-end"]) == 0
    capsys.readouterr()
    said(capsys, "ledger", "rebuild", "--yes")
    before = said(capsys, "budgets")
    emptied(configuration)

    assert said(capsys, "ledger", "rebuild", "--yes")["grants"] == 1

    assert said(capsys, "budgets") == before


def test_a_call_that_went_on_meanwhile_is_kept(
    configuration: Configuration, capsys: Output
) -> None:
    some_calls(configuration)
    said(capsys, "ledger", "rebuild", "--yes")
    emptied(configuration)

    async def work(access: LedgerAccess) -> None:
        admitted = await reserve(access, configuration, "call_new", 2 * USD, user="alice")
        assert admitted is not None
        await settle(access, admitted, USD)

    with_ledger(configuration, work)
    said(capsys, "ledger", "rebuild", "--yes")

    rows = {row["name"]: row for row in said(capsys, "budgets")["items"] if not row["subject"]}
    assert rows["all"]["spent"]["usd"] == "4"
    assert rows["all"]["reserved"]["usd"] == "2"


def test_nobody_is_asked_in_a_pipe(configuration: Configuration, capsys: Output) -> None:
    assert run(["ledger", "rebuild"]) == 2
    assert "say --yes" in capsys.readouterr().err


def test_an_archive_that_cannot_be_opened_is_said(
    configuration: Configuration, capsys: Output
) -> None:
    broken = configuration.settings.data_dir / "archive.sqlite"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text("this is no database" * 100)

    for words in (["ledger", "compare"], ["ledger", "rebuild", "--yes"]):
        assert run(words) == 1
        assert "archive" in capsys.readouterr().err
