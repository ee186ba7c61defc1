"""`bursar keys`: secrets shown once, and every mistake with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.main import run

Output = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("folder")


def created(capsys: Output, *options: str) -> dict[str, Any]:
    assert run(["keys", "create", "--team", "red", "--json", *options]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def listed(capsys: Output) -> list[dict[str, Any]]:
    assert run(["keys", "list", "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["items"]
    return found


def test_the_secret_stands_alone_on_standard_output(capsys: Output) -> None:
    assert run(["keys", "create", "--team", "red", "--user", "alice", "--expires", "90d"]) == 0

    printed = capsys.readouterr()
    assert printed.out.startswith("bsr_")
    assert printed.out.count("\n") == 1
    assert "for team red, user alice, good until 2" in printed.err
    assert "The secret is shown this once" in printed.err


def test_a_key_has_what_was_asked_for(capsys: Output) -> None:
    key = created(
        capsys, "--name", "ci", "--tag", "project=apollo", "--tag", "env=prod", "--expires", "1d"
    )

    (row,) = listed(capsys)
    assert row["tags"] == {"project": "apollo", "env": "prod"}
    assert (row["name"], row["state"], row["team"]) == ("ci", "active", "red")
    assert row["expires_at"] > row["created_at"]
    assert key["key"].startswith(row["prefix"])
    assert "key" not in row


def test_a_list_shows_no_secret(capsys: Output) -> None:
    key = created(capsys, "--name", "[bold]ci[/]")["key"]

    assert run(["keys", "list"]) == 0

    shown = capsys.readouterr().out
    assert "[bold]ci[/]" in shown
    assert "active" in shown
    assert key not in shown


def test_an_empty_list_says_how_to_make_a_key(capsys: Output) -> None:
    assert run(["keys", "list"]) == 0

    assert "bursar keys create --team TEAM" in capsys.readouterr().err


def test_a_rotated_key_has_a_new_secret_and_the_same_id(capsys: Output) -> None:
    key = created(capsys)

    assert run(["keys", "rotate", key["id"], "--grace", "1h", "--json"]) == 0
    rotated = json.loads(capsys.readouterr().out)
    assert run(["keys", "rotate", key["id"]]) == 0

    assert rotated["id"] == key["id"]
    assert rotated["key"] != key["key"]
    assert f"Rotated {key['id']} for team red" in capsys.readouterr().err


def test_a_revoked_key_is_shown_as_such_and_cannot_be_rotated(capsys: Output) -> None:
    key = created(capsys)

    assert run(["keys", "revoke", key["id"]]) == 0
    assert f"Revoked {key['id']}" in capsys.readouterr().err
    assert run(["keys", "revoke", key["id"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "revoked"
    assert [row["state"] for row in listed(capsys)] == ["revoked"]
    assert run(["keys", "rotate", key["id"]]) == 1
    assert "make a new one" in capsys.readouterr().err


def test_an_unknown_key_is_a_failure(capsys: Output) -> None:
    assert run(["keys", "revoke", "key_nobody"]) == 1

    assert capsys.readouterr().err == "bursar: there is no key key_nobody\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--team", "rde"], "'rde' is not a team: did you mean 'red'?"),
        (["--team", "zzz"], "'zzz' is not a team: there is blue, red"),
        (["--team", "red", "--user", "mallory"], "'mallory' is not in team 'red'"),
        (["--team", "red", "--expires", "soon"], "'soon' is not a duration"),
        (["--team", "red", "--tag", "apollo"], "'apollo' is not a tag: write name=value"),
        (["--team", "red", "--name", "x" * 200], "128 printable characters"),
        (["--team", "red", "--config", "nowhere.yaml"], "nowhere.yaml:1: cannot be read"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    capsys: Output, options: list[str], said: str
) -> None:
    assert run(["keys", "create", *options]) == 2

    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_a_grace_of_years_is_wrong_usage(capsys: Output) -> None:
    key = created(capsys)

    assert run(["keys", "rotate", key["id"], "--grace", "9999d"]) == 2


def test_mistakes_in_policies_are_named_before_anything_is_done(
    folder: Path, capsys: Output
) -> None:
    (folder / "policies.yaml").write_text("teams: {red: {modles: [x]}}\n")

    assert run(["keys", "create", "--team", "red"]) == 2

    assert "policies.yaml:1: teams.red.modles: is not a field here" in capsys.readouterr().err
