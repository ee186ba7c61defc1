"""`bursar audit`: the journal's latest entries."""

from __future__ import annotations

import asyncio
import json

import click
import pytest

from policies.journal import Entry
from proxy.cli.audit import entry_line
from proxy.cli.configuration import Configuration
from proxy.cli.main import run
from tests.proxy.cli.conftest import Start
from tests.proxy.cli.ledgers import USD, some_calls

Output = pytest.CaptureFixture[str]


def test_the_latest_entries_are_printed_oldest_first(
    configuration: Configuration, capsys: Output
) -> None:
    some_calls(configuration)

    assert run(["audit", "tail", "-n", "2"]) == 0

    first, second = capsys.readouterr().out.splitlines()
    assert "admitted         call_open" in first
    assert "red-each reserved +$2" in first
    assert "refused          call_refused" in second


def test_programs_get_a_line_of_json_for_each(configuration: Configuration, capsys: Output) -> None:
    some_calls(configuration)

    assert run(["audit", "tail", "--json"]) == 0

    entries = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["kind"] for entry in entries] == ["admitted", "settle", "admitted", "refused"]
    assert entries[1]["call_id"] == "call_settled"
    moved = {move["counter"].partition(":")[0]: move for move in entries[1]["movements"]}
    assert moved["all"]["spent_change"] == 3 * USD
    assert moved["all"]["reserved_change"] == -5 * USD


@pytest.mark.usefixtures("folder")
def test_an_empty_journal_prints_nothing(capsys: Output) -> None:
    assert run(["audit", "tail"]) == 0

    assert capsys.readouterr().out == ""


async def test_new_entries_are_followed(configuration: Configuration, start: Start) -> None:
    following = await start("audit", "tail", "--follow", "--json")

    # In a thread: the command line has an event loop of its own.
    await asyncio.to_thread(some_calls, configuration)

    assert json.loads(await following.line())["call_id"] == "call_settled"


def test_what_is_not_about_a_call_is_shortened() -> None:
    data = " ".join(["word"] * 100)
    entry = Entry(id="1-0", kind="policies_loaded", call_id="", at_ms=0, data=data)

    line = click.unstyle(entry_line(entry))

    assert line.startswith("1970-01-01 00:00:00  policies_loaded")
    assert line.endswith("word [...]")
