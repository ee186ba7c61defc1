"""`bursar budgets grant`, `grants` and `end-grant`, as an operator types them."""

from __future__ import annotations

import getpass
import json
from typing import Any

import pytest

from proxy.cli.configuration import Configuration
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.main import run
from tests.proxy.cli.ledgers import some_calls

Output = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("folder")
WHY = ("--for", "3d", "--reason", "month-end close")


def granted(capsys: Output, *words: str) -> dict[str, Any]:
    assert run(["budgets", "grant", *words, *WHY, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def listed(capsys: Output, *words: str) -> list[dict[str, Any]]:
    assert run(["budgets", "grants", *words, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["items"]
    return found


def rows(capsys: Output) -> dict[tuple[str, str | None], dict[str, Any]]:
    assert run(["budgets", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["items"]
    return {(row["name"], row["subject"]): row for row in found}


# Granting…


def test_the_id_stands_alone_on_standard_output(capsys: Output) -> None:
    assert run(["budgets", "grant", "all", "50 USD", *WHY]) == 0

    printed = capsys.readouterr()
    assert printed.out.startswith("grant_")
    assert printed.out.count("\n") == 1
    assert printed.err.startswith("Budget all: $50 more until 2")
    assert printed.err.rstrip().endswith("UTC")


def test_programs_get_the_grant_as_the_admin_plane_has_it(capsys: Output) -> None:
    row = granted(capsys, "all", "50 USD")

    assert row["amount"] == {"nano_usd": 50_000_000_000, "usd": "50"}
    assert (row["budget"], row["subject"], row["state"]) == ("all", None, "active")
    assert (row["actor"], row["reason"]) == (getpass.getuser(), "month-end close")
    assert listed(capsys) == [row]


def test_a_limit_is_shown_with_what_is_granted(
    configuration: Configuration, capsys: Output
) -> None:
    some_calls(configuration)
    first = granted(capsys, "all", "50 USD")
    second = granted(capsys, "all", "0.5 USD")
    alice = granted(capsys, "red-each", "5 USD", "--subject", "alice")

    found = rows(capsys)
    row = found["all", None]
    assert [row[name]["usd"] for name in ("limit", "granted", "remaining")] == [
        "150.5",
        "50.5",
        "145.5",
    ]
    assert {grant["id"] for grant in row["grants"]} == {first["id"], second["id"]}
    assert found["red-each", "alice"]["grants"] == [alice]
    assert found["red-each", "alice"]["limit"]["usd"] == "15"
    assert found["red-each", "bob"]["granted"]["usd"] == "0"
    assert run(["budgets"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[2].endswith("$145.50 $150.50 (+$50.50) never")


def test_a_subject_that_has_not_called_yet_is_listed_and_doubted(capsys: Output) -> None:
    assert run(["budgets", "grant", "red-each", "5 USD", *WHY, "--subject", "alcie"]) == 0
    assert "No call of 'alcie' was counted in this window yet" in capsys.readouterr().err

    assert rows(capsys)["red-each", "alcie"]["limit"]["usd"] == "15"


def test_a_grant_can_be_for_each_subject(configuration: Configuration, capsys: Output) -> None:
    some_calls(configuration)
    granted(capsys, "red-each", "5 USD", "--all")

    found = rows(capsys)
    assert [found["red-each", user]["limit"]["usd"] for user in ("alice", "bob")] == ["15", "15"]


def test_a_command_that_is_run_again_with_its_key_grants_once(capsys: Output) -> None:
    first = granted(capsys, "all", "50 USD", "--once", "ticket-7")

    assert granted(capsys, "all", "50 USD", "--once", "ticket-7") == first
    assert len(listed(capsys)) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["alll", "5 USD", *WHY], "'alll' is not a budget: did you mean 'all'?"),
        (["unattributed", "5 USD", *WHY], "there is nothing to grant"),
        (["wallet.sim.credits", "5 USD", *WHY], "only the provider raises it"),
        (["all", "5 calls", *WHY], "'5 calls' is in calls, but budget 'all' counts USD"),
        (["all", "five", *WHY], "'five' is not an amount"),
        (["all", "0 USD", *WHY], "raises nothing"),
        (["all", "9007100 USD", *WHY], "above what can be counted exactly"),
        (["all", "5 USD", "--for", "3d"], "Missing option '--reason'"),
        (["all", "5 USD", "--for", "3d", "--reason", " "], "say why"),
        (["all", "5 USD", "--reason", "x"], "Missing option '--for'"),
        (["all", "5 USD", "--for", "soon", "--reason", "x"], "'soon' is not a duration"),
        (["all", "5 USD", "--for", "400d", "--reason", "x"], "from one second to 366 days"),
        (["all", "5 USD", *WHY, "--subject", "alice"], "keeps one counter for all calls"),
        (["red-each", "5 USD", *WHY], "has a limit for each user"),
        (["red-each", "5 USD", *WHY, "--all", "--subject", "bob"], "but not both"),
        (["all", "5 USD", *WHY, "--once", ""], "an idempotency key has 1 to 256 characters"),
    ],
)
def test_what_cannot_be_granted_is_one_clear_line(
    capsys: Output, words: list[str], said: str
) -> None:
    assert run(["budgets", "grant", *words]) == 2

    printed = capsys.readouterr()
    assert said in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert listed(capsys) == []


def test_a_key_that_was_used_for_another_grant_is_said(capsys: Output) -> None:
    first = granted(capsys, "all", "50 USD", "--once", "x")

    assert run(["budgets", "grant", "all", "51 USD", *WHY, "--once", "x"]) == 1

    assert f"was used for another grant, {first['id']}" in capsys.readouterr().err


def test_options_stand_behind_their_command(capsys: Output) -> None:
    assert run(["budgets", "--json", "grants"]) == 2

    assert "options stand behind 'grants'" in capsys.readouterr().err


# Listing and ending…


def test_people_get_a_table_of_what_is_granted_now(capsys: Output) -> None:
    ended = granted(capsys, "all", "1 USD")
    assert run(["budgets", "end-grant", ended["id"]]) == 0
    row = granted(capsys, "blue-calls", "5 calls")
    capsys.readouterr()

    assert run(["budgets", "grants"]) == 0

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "id state budget for amount ends who reason"
    assert len(lines) == 3
    assert lines[2].startswith(f"{row['id']} active blue-calls 5 calls in 2d 23h")
    assert lines[2].endswith(f"{getpass.getuser()} month-end close")


def test_a_list_can_be_of_one_budget_and_of_what_is_over(capsys: Output) -> None:
    first = granted(capsys, "all", "1 USD")
    second = granted(capsys, "blue-calls", "5 calls")
    assert run(["budgets", "end-grant", first["id"]]) == 0
    capsys.readouterr()

    assert listed(capsys, "all") == []
    assert [row["state"] for row in listed(capsys, "all", "--all")] == ["ended"]
    assert listed(capsys) == [second]
    assert run(["budgets", "grants", "--all"]) == 0
    assert first["id"] in capsys.readouterr().out


def test_that_nothing_is_granted_is_said(capsys: Output) -> None:
    assert run(["budgets", "grants"]) == 0

    assert "Nothing is granted now" in capsys.readouterr().err


def test_an_ended_grant_raises_nothing(capsys: Output) -> None:
    row = granted(capsys, "all", "50 USD")

    assert run(["budgets", "end-grant", row["id"]]) == 0

    assert f"Ended {row['id']} of budget all" in capsys.readouterr().err
    assert rows(capsys)["all", None]["limit"]["usd"] == "100"
    assert run(["budgets", "end-grant", row["id"], "--json"]) == 0
    ended = json.loads(capsys.readouterr().out)
    assert (ended["state"], ended["ended_by"]) == ("ended", getpass.getuser())


def test_what_was_over_before_it_could_be_ended_is_said(
    capsys: Output, configuration: Configuration
) -> None:
    row = granted(capsys, "all", "50 USD")

    async def be_over(access: LedgerAccess) -> None:
        keys = access.ledger.keys
        kept = json.loads(await access.commands.execute("HGET", keys.grants, row["id"]))
        over = json.dumps(kept | {"expires_ms": 1_000})
        await access.commands.execute("HSET", keys.grants, row["id"], over)

    with_ledger(configuration, be_over)

    assert run(["budgets", "end-grant", row["id"]]) == 0
    assert "was over at 1970-01-01T00:00:01Z already" in capsys.readouterr().err


def test_an_unknown_grant_is_said(capsys: Output) -> None:
    assert run(["budgets", "end-grant", "grant_x"]) == 1

    assert "there is no grant grant_x" in capsys.readouterr().err


def test_the_journal_has_who_and_from_where(configuration: Configuration, capsys: Output) -> None:
    row = granted(capsys, "all", "50 USD")
    assert run(["budgets", "end-grant", row["id"]]) == 0

    async def journal(access: LedgerAccess) -> list[tuple[str, dict[str, Any]]]:
        return [(entry.kind, json.loads(entry.data)) for entry in await access.ledger.journal()]

    made, ended = with_ledger(configuration, journal)
    assert (made[0], ended[0]) == ("grant_made", "grant_ended")
    for data in (made[1], ended[1]):
        assert (data["actor"], data["from"]) == (getpass.getuser(), "cli")
