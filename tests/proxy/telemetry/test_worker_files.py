"""Numbers of several workers in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.telemetry.series import Snapshot
from proxy.telemetry.worker_files import WorkerFiles

ONE = Snapshot(at_ms=1, rows={"calls": [(("a",), [1.0])]})
TWO = Snapshot(at_ms=2, rows={})


def test_a_worker_finds_what_the_one_before_it_wrote(tmp_path: Path) -> None:
    WorkerFiles(tmp_path / "deep" / "folder", "0").write(ONE)

    assert WorkerFiles(tmp_path / "deep" / "folder", "0").read_own() == ONE


def test_one_worker_sees_all_others(tmp_path: Path) -> None:
    files = {name: WorkerFiles(tmp_path, name) for name in ("admin", "0", "1")}
    files["0"].write(ONE)
    files["1"].write(TWO)
    files["admin"].write(TWO)

    assert list(files["admin"].read_others()) == [ONE, TWO]


def test_nothing_is_there_before_anything_was_written(tmp_path: Path) -> None:
    files = WorkerFiles(tmp_path / "none", "0")

    assert files.read_own() is None
    assert list(files.read_others()) == []


def test_a_file_that_is_none_of_ours_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "1.metrics.json").write_bytes(b"{")
    (tmp_path / "2.metrics.new").write_bytes(b"half")

    assert list(WorkerFiles(tmp_path, "0").read_others()) == []


@pytest.mark.parametrize("name", ["", "../0", "a/b", "a b", "x" * 65])
def test_a_worker_needs_a_name_that_a_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a worker"):
        WorkerFiles(tmp_path, name)
