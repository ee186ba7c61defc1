"""`bursar receipts`: how they stand, and looking for those that are due."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from policies.ledger.interface import Due
from policies.units import Amounts
from proxy.cli.configuration import Configuration, configured
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.main import run
from proxy.receipts.ghosts import Ghost, Ghosts
from proxy.receipts.schedule import Schedule
from tests.proxy.cli.conftest import write_folder
from tests.proxy.cli.ledgers import USD, reserve

Output = pytest.CaptureFixture[str]
BILLED_NANO_USD = 4_321_000


@pytest.fixture
def simulated(
    tmp_path: Path,
    organization: str,
    redis_url: str,
    provider_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Configuration:
    """A configuration on the tests' Redis, with a simulated provider behind it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BURSAR_CONFIG", raising=False)
    write_folder(tmp_path, organization, provider_url, f'ledger: {{url: "{redis_url}"}}')
    return configured(None)


def billed_call(provider: str) -> str:
    """Make a call that is billed at once; return the id that its provider knows it by."""
    request = urllib.request.Request(  # The simulated provider's, of this test.
        f"{provider}/api/v1/chat/completions",
        data=json.dumps({"model": "acme/mini", "messages": []}).encode(),
        headers={
            "Authorization": "Bearer sk-ai-v1-test",
            "x-simulator-scenario": json.dumps(
                {"billed_after_s": 0, "billed_nano_usd": BILLED_NANO_USD}
            ),
        },
    )
    with urllib.request.urlopen(request) as answer:  # The same.
        return str(json.load(answer)["id"])


def settled(configuration: Configuration, call_id: str, generation_id: str) -> None:
    """Put a call into the ledger whose receipt is due."""

    async def work(access: LedgerAccess) -> None:
        admitted = await reserve(access, configuration, call_id, USD, user="alice")
        assert admitted is not None
        outcome = {
            "status": 200,
            "certainty": "exact",
            "nano_usd": 3_000_000,
            "generation_ids": [generation_id],
            "usage": [],
        }
        await access.ledger.settle(
            admitted.reservation,
            Amounts(nano_usd=3_000_000),
            outcome=json.dumps(outcome),
            due=Due(queue="sim", after_ms=0),
        )

    with_ledger(configuration, work)


def said(capsys: Output) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_what_is_due_is_looked_for_and_shown(simulated: Configuration, capsys: Output) -> None:
    settled(simulated, "call_billed", billed_call(simulated.settings.providers["sim"].base_url))
    settled(simulated, "call_unknown", "gen_of_nobody")

    assert run(["receipts", "run"]) == 0
    lines = said(capsys)
    assert run(["receipts", "status"]) == 0
    shown = said(capsys)
    assert run(["calls", "show", "call_billed"]) == 0
    life = said(capsys)

    assert lines == [
        "1 booked: these calls are at what was billed",
        "1 not billed yet: looked for again later",
        "sim: 1 wait, 0 due now",
    ]
    assert shown[0].startswith("provider waiting due now slowed until receipted, 7 days")
    assert "sim 1 0 1" in shown
    assert any(line.endswith("sim acme/mini 1 0% $0.0030 $0.0044 $0.0014 +44.0%") for line in shown)
    assert "settled $0.003" in life
    assert "receipted $0.004321, from a look-up by id, $0.001321 more than metered (+44.0%)" in life


def test_nothing_due_is_said(simulated: Configuration, capsys: Output) -> None:
    del simulated

    assert run(["receipts", "run"]) == 0

    assert said(capsys) == ["Nothing was due."]


def test_programs_get_all_of_it(simulated: Configuration, capsys: Output) -> None:
    settled(simulated, "call_unknown", "gen_of_nobody")

    assert run(["receipts", "run", "--json"]) == 0
    came = json.loads(capsys.readouterr().out)
    assert run(["receipts", "status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert came == {"results": {"pending": 1}, "finished": True}
    assert [(row["provider"], row["waiting"]) for row in found["items"]] == [("sim", 1)]
    assert found["cursor"] is None


def test_no_progress_is_shown_in_a_pipe(simulated: Configuration, capsys: Output) -> None:
    settled(simulated, "call_unknown", "gen_of_nobody")

    assert run(["receipts", "run"]) == 0

    assert capsys.readouterr().err == ""


def test_progress_is_shown_on_a_terminal(
    simulated: Configuration, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(simulated, "call_unknown", "gen_of_nobody")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")

    assert run(["receipts", "run"]) == 0

    captured = capsys.readouterr()
    assert "sim" in captured.err
    assert "1/1" in captured.err


@pytest.mark.parametrize("words", [["status"], ["run"]])
def test_without_a_provider_that_tells_it_says_so(
    folder: Path, capsys: Output, words: list[str]
) -> None:
    settings = folder / "bursar.yaml"
    settings.write_text(settings.read_text().replace("kind: agipower", "kind: openai"))

    assert run(["receipts", *words]) == 0

    assert "No provider of this configuration tells" in capsys.readouterr().err


def test_why_calls_have_no_receipts_is_said_once(folder: Path, capsys: Output) -> None:
    settings = folder / "bursar.yaml"
    settings.write_text(settings.read_text().replace("kind: agipower", "kind: venice"))

    assert run(["receipts", "status"]) == 0

    said_once = "sim: Venice tells what it billed to an admin key alone: set billing_key"
    assert said(capsys).count(said_once) == 1


def test_what_does_not_add_up_and_what_nobody_called_is_listed(
    configuration: Configuration, capsys: Output
) -> None:
    def ghost(number: int, at_ms: int) -> Ghost:
        return Ghost(
            provider="sim",
            id=f"r:{number}",
            kind="row",
            at_ms=at_ms,
            nano_usd=5_000_000,
            detail={"request": "x"},
        )

    async def work(access: LedgerAccess) -> None:
        ledger, now_ms = access.ledger, access.ledger.now_ms()
        schedule = Schedule(access.commands, ledger.keys, ledger.now_ms)
        for number in range(21):
            await schedule.set_aside("sim", f"call_{number:02}", "it is negative")
        ghosts = Ghosts(
            ledger, access.commands, ledger.keys, lambda: configuration.rulebook.unattributed
        )
        for number in range(11):
            await ghosts.book(ghost(number, now_ms - number * 1_000))

    with_ledger(configuration, work)

    assert run(["receipts", "status"]) == 0
    lines = said(capsys)

    assert "sim 0 0 0 21 11 $0.0550" in lines
    assert "sim call_00 it is negative" in lines
    assert lines.count("… and 1 more: --json has them") == 2
    assert any(line.endswith(" 1 $0.0050 request x") for line in lines)


def test_a_configuration_that_cannot_be_used_is_wrong_usage(folder: Path, capsys: Output) -> None:
    settings = folder / "bursar.yaml"
    settings.write_text(
        settings.read_text().replace("kind: agipower", "kind: agipower, paths: {generation: /g}")
    )

    assert run(["receipts", "status"]) == 2

    assert "would get one receipt" in capsys.readouterr().err
