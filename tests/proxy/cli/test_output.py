"""What commands print."""

from __future__ import annotations

import json

import pytest

from proxy.cli.output import console, note, progress, show_json, table


def test_data_goes_to_stdout_and_everything_else_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_json({"größer": 1})
    note("said")

    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"größer": 1}
    assert printed.err == "said\n"


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    wide = "x" * 200

    console().print(table(("name", ">number"), [(wide, "1"), ("short", "200")]))

    lines = capsys.readouterr().out.splitlines()
    assert wide in lines[2]
    assert lines[3].split() == ["short", "200"]
    assert lines[2].rstrip().endswith("  1")


def test_progress_is_silent_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("working"):
        pass

    assert capsys.readouterr().err == ""


def test_progress_shows_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")

    with progress("working"):
        pass

    assert "working" in capsys.readouterr().err
