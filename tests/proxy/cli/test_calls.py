"""`bursar calls`: which calls there were, in the ledger and in the archive."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy.cli.configuration import Configuration
from proxy.cli.main import run
from tests.doubles.lived_calls import Lives
from tests.proxy.cli.archives import LONG_AGO_MS, archived
from tests.proxy.cli.conftest import Start
from tests.proxy.cli.ledgers import some_calls

Output = pytest.CaptureFixture[str]
HOUR_MS = 3_600_000


def some_archived(configuration: Configuration) -> list[str]:
    lives = Lives()
    made = [
        lives.call("receipted", at_ms=LONG_AGO_MS, team="red", user="alice", dollars=2),
        lives.call("refused", at_ms=LONG_AGO_MS + HOUR_MS, team="blue", model="o/opus-5"),
        lives.call("expired", at_ms=LONG_AGO_MS + 2 * HOUR_MS, team="red", user=None),
    ]
    archived(configuration, lives)
    return made


def listed(capsys: Output, *words: str) -> list[dict[str, Any]]:
    assert run(["calls", "--json", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cursor"] is None
    items: list[dict[str, Any]] = found["items"]
    return items


def test_calls_of_ledger_and_archive_newest_first(
    configuration: Configuration, capsys: Output
) -> None:
    old = some_archived(configuration)
    some_calls(configuration)

    found = listed(capsys)

    newest = ["call_refused", "call_open", "call_settled"]
    assert [row["id"] for row in found] == [*newest, *reversed(old)]
    assert [row["state"] for row in found[3:]] == ["expired", "refused", "receipted"]
    assert found[-1]["receipted"] == {"nano_usd": 2_100_000_000, "usd": "2.1"}


def test_people_get_a_table(configuration: Configuration, capsys: Output) -> None:
    old = some_archived(configuration)
    some_calls(configuration)

    assert run(["calls"]) == 0

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "at call state team user model tokens cost"
    assert f"2025-11-23 13:00:00 {old[0]} receipted red alice acme/mini 120 $2.1" in lines
    assert f"2025-11-23 14:00:00 {old[1]} refused blue alice o/opus-5" in lines
    assert f"2025-11-23 15:00:00 {old[2]} expired red acme/mini ≤ $2" in lines
    assert any(line.endswith("call_open reserved red bob acme/mini ≤ $2") for line in lines)


@pytest.mark.parametrize(
    ("words", "places"),
    [
        (["--team", "blue"], [1]),
        (["--team", "red", "--user", "alice"], [0]),
        (["--model", "*opus*"], [1]),
        (["--state", "expired"], [2]),
        (["--key", "key_1"], [2, 1, 0]),
        (["--provider", "nobody"], []),
        (["--since", "2025-11-23T14:00:00Z"], [2, 1]),
        (["--until", "2025-11-23T14:00:00Z"], [0]),
        (["--since", "2025-11-24"], []),
        (["-n", "2"], [2, 1]),
    ],
)
def test_only_what_is_asked_for(
    configuration: Configuration, capsys: Output, words: list[str], places: list[int]
) -> None:
    made = some_archived(configuration)

    found = listed(capsys, *words)

    assert [row["id"] for row in found] == [made[place] for place in places]


def test_nothing_is_said_in_words(configuration: Configuration, capsys: Output) -> None:
    assert run(["calls", "--team", "nobody"]) == 0

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "There is no such call\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "2026-01-02", "--until", "2026-01-01"], "--until: it is not after since"),
        (["--team", ""], "--team: it is empty: leave it out to ask for all"),
        (["--key", "k" * 600], "--key: it is longer than 500 characters"),
        (["--state", "paid"], "'paid' is not one of 'reserved', 'settled'"),
        (["--since", "yesterday"], "'yesterday' is not a time"),
        (["--limit", "0"], "0 is not in the range"),
        (["--json", "show", "call_1"], "options stand behind 'show'"),
        (["--team", "red", "show", "call_1"], "options stand behind 'show'"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_makes_no_sense(capsys: Output, words: list[str], said: str) -> None:
    assert run(["calls", *words]) == 2

    assert said in capsys.readouterr().err


def test_an_archive_that_is_none(configuration: Configuration, capsys: Output) -> None:
    broken = configuration.settings.data_dir / "archive.sqlite"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text("this is no database" * 100)

    assert run(["calls"]) == 1

    said = capsys.readouterr().err
    assert said.startswith("bursar: the archive at ")
    assert len(said.splitlines()) == 1


async def test_new_calls_are_followed(configuration: Configuration, start: Start) -> None:
    made = await asyncio.to_thread(some_archived, configuration)
    following = await start("calls", "--follow", "--json", "-n", "1", "--team", "red")
    assert json.loads(await following.line())["id"] == made[2]

    # In a thread: the command line has an event loop of its own.
    await asyncio.to_thread(some_calls, configuration)

    seen: dict[str, str] = {}
    while len(seen) < 3 or seen["call_settled"] != "settled":
        row = json.loads(await following.line())
        assert row["id"].startswith("call_")
        seen[row["id"]] = row["state"]
    assert seen == {
        "call_settled": "settled",
        "call_open": "reserved",
        "call_refused": "refused",
    }


async def test_followed_calls_are_lines_for_people(
    configuration: Configuration, start: Start
) -> None:
    made = await asyncio.to_thread(some_archived, configuration)
    following = await start("calls", "--follow")

    lines = [await following.line() for _ in range(3)]

    assert [line.split()[2] for line in lines] == made
    assert " ".join(lines[0].split()).endswith("receipted red alice acme/mini 120 $2.1")
