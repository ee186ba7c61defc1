"""`bursar calls`: the life of a call."""

from __future__ import annotations

import json

import pytest

from proxy.cli.configuration import Configuration
from proxy.cli.main import run
from tests.proxy.cli.ledgers import some_calls

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
