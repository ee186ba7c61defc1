"""Paths as people would write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli.paths import shortened


def test_a_path_below_the_working_directory_is_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert shortened(tmp_path / "var" / "x") == "./var/x"
    assert shortened(Path("var")) == "./var"
    assert shortened(Path("/etc/bursar")) == "/etc/bursar"
