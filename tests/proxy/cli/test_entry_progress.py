"""In a pipe nobody sees how far a command is."""

from __future__ import annotations

import pytest

from proxy.cli.entry_progress import entry_progress


def test_in_a_pipe_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with entry_progress("deciding") as told:
        told(1, 10)

    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_it_is_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")

    with entry_progress("deciding") as told:
        told(10, 10)

    assert "deciding" in capsys.readouterr().err
