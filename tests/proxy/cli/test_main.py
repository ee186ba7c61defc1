"""The command line as a whole: what it offers, how it ends, and that asking for help is quick."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from policies.errors import BursarError
from policies.lined_yaml import Mistake, Mistakes
from proxy.cli.main import COMMANDS, cli, run
from tests.proxy.cli.processes import BURSAR, plain_environ

HEAVY = ("aiohttp", "pydantic", "redis", "rich", "structlog", "uvloop", "msgspec", "yaml")


def test_help_starts_no_imports_of_the_proxy() -> None:
    code = (
        "import sys; from proxy.cli.main import run; status = run(['--help']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); "
        "sys.exit(status)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=plain_environ(),
    )

    assert done.stderr.strip() == "[]"
    assert all(name in done.stdout for name in COMMANDS)


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("bursar ")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_of_itself_what_the_overview_says_of_it(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    said = (command.help or "").strip().partition("\n")[0]
    assert said.rstrip(".:").startswith(COMMANDS[name][1].rstrip("."))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0

    assert "Usage: bursar" in capsys.readouterr().out


def test_an_unknown_command_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["frobnicate"]) == 2

    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "frobnicate" in said


def test_a_missing_option_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "create"]) == 2

    assert capsys.readouterr().err == (
        "bursar keys create: Missing option '--team' (see bursar keys create --help)\n"
    )


def _raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(type(cli), "get_command", lambda *_: command)


def test_mistakes_are_a_line_each_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mistakes = [Mistake("a.yaml", 3, "port", "is wrong"), Mistake("a.yaml", 9, "", "is odd")]
    _raising(monkeypatch, Mistakes(mistakes))

    assert run(["check"]) == 2

    assert capsys.readouterr().err == "a.yaml:3: port: is wrong\na.yaml:9: is odd\n"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (BursarError("the ledger is away"), 1, "bursar: the ledger is away\n"),
        (click.ClickException("no such call"), 1, "bursar: no such call\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_how_a_command_ends(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    said: str,
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    _raising(monkeypatch, error)

    assert run(["check"]) == status

    assert capsys.readouterr().err == said


def test_a_reader_that_leaves_early_is_no_fault(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{BURSAR} --help | true"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )

    assert done.stderr == ""
