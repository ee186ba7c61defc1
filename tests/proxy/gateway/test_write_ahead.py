"""The write-ahead file: what is in it survives its worker, and nothing in it is lost or kept too long."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from policies.reservations import Charge, Operation, Reservation
from policies.units import Amounts
from proxy.gateway import write_ahead
from proxy.gateway.write_ahead import Unbooked, WriteAhead

ROOT = Path(__file__).parents[3]


def entry(call_id: str = "call_a", **amounts: int) -> Unbooked:
    charge = Charge(
        budget="month",
        subject="",
        unit="USD",
        counter="month::2026-11",
        kind="fixed",
        length_ms=0,
        bucket_ms=0,
        slot=0,
        held=5,
        bound=7,
    )
    return Unbooked(
        reservation=Reservation(call_id=call_id, at_ms=1, charges=(charge,)),
        operation=Operation.SETTLE,
        amounts=Amounts(nano_usd=3, credits={"DIEM": 4}, **amounts),
        outcome='{"status":200}',
        data='{"model":"ü"}',
    )


def files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


def written_by_another(folder: Path, content: bytes) -> Path:
    """A file whose owner is dead."""
    folder.mkdir(exist_ok=True)
    path = folder / "1-dead.wal"
    path.write_bytes(content)
    return path


def line_of(tmp_path: Path, *entries: Unbooked) -> bytes:
    """What a worker would have written."""
    worker = WriteAhead(tmp_path / "elsewhere")
    for each in entries:
        worker.append(each)
    (path,) = (tmp_path / "elsewhere").glob("*.wal")
    content = path.read_bytes()
    for each in entries:
        worker.done(each)
    worker.close()
    return content


def test_what_waits_is_what_was_appended_in_order(tmp_path: Path) -> None:
    worker = WriteAhead(tmp_path)
    worker.append(entry("call_b"))
    worker.append(entry("call_a"))

    assert [each.reservation.call_id for each in worker.waiting()] == ["call_b", "call_a"]
    assert len(worker) == 2
    worker.close()


def test_an_entry_is_read_as_it_was_written(tmp_path: Path) -> None:
    first = WriteAhead(tmp_path)
    first.append(entry())
    first.close()

    second = WriteAhead(tmp_path)

    assert second.adopt() == 1
    assert second.waiting() == (entry(),)
    second.close()


def test_a_file_without_entries_leaves_nothing_behind(tmp_path: Path) -> None:
    worker = WriteAhead(tmp_path)
    worker.append(entry())
    worker.done(entry())
    worker.close()

    assert files(tmp_path) == []


def test_the_file_shrinks_when_everything_is_booked(tmp_path: Path) -> None:
    worker = WriteAhead(tmp_path)
    worker.append(entry("call_a"))
    worker.append(entry("call_b"))
    (path,) = tmp_path.iterdir()

    worker.done(entry("call_a"))
    assert path.stat().st_size > 0
    worker.done(entry("call_b"))
    assert path.stat().st_size == 0

    worker.append(entry("call_c"))
    worker.close()
    assert path.read_bytes().count(b"\n") == 1


def test_what_was_booked_but_not_yet_forgotten_is_found_again(tmp_path: Path) -> None:
    """Booking twice changes nothing; forgetting what was not booked would."""
    worker = WriteAhead(tmp_path)
    worker.append(entry("call_a"))
    worker.append(entry("call_b"))
    worker.done(entry("call_a"))
    worker.close()

    second = WriteAhead(tmp_path)

    assert second.adopt() == 2
    second.close()


def test_an_entry_that_is_done_twice_is_forgotten_once(tmp_path: Path) -> None:
    worker = WriteAhead(tmp_path)
    worker.append(entry())

    worker.done(entry())
    worker.done(entry())

    assert not worker.waiting()
    worker.close()


# Other workers…


def test_a_living_workers_file_is_left_alone(tmp_path: Path) -> None:
    alive = WriteAhead(tmp_path)
    alive.append(entry())
    other = WriteAhead(tmp_path)

    assert other.adopt() == 0

    other.close()
    alive.close()
    third = WriteAhead(tmp_path)
    assert third.adopt() == 1
    third.close()


def test_one_of_two_workers_takes_over_a_dead_ones_file(tmp_path: Path) -> None:
    written_by_another(tmp_path, line_of(tmp_path, entry()))
    first, second = WriteAhead(tmp_path), WriteAhead(tmp_path)

    assert (first.adopt(), second.adopt()) == (1, 0)

    first.done(entry())
    assert files(tmp_path) == ["", ".wal", ".wal"]
    first.close()
    second.close()


def test_what_was_taken_over_and_not_booked_passes_to_the_next(tmp_path: Path) -> None:
    written_by_another(tmp_path, line_of(tmp_path, entry()))
    first = WriteAhead(tmp_path)
    first.adopt()
    first.close()

    second = WriteAhead(tmp_path)

    assert second.adopt() == 1
    second.close()


def test_an_empty_file_of_a_dead_worker_is_removed_and_blocks_nobody(tmp_path: Path) -> None:
    path = written_by_another(tmp_path, b"")
    worker = WriteAhead(tmp_path)

    assert worker.adopt() == 0
    assert not path.exists()
    worker.close()


def test_a_file_that_somebody_else_removed_meanwhile_is_no_mistake(tmp_path: Path) -> None:
    assert write_ahead._locked(tmp_path / "gone.wal") is None


def test_a_worker_that_is_killed_leaves_its_entries(tmp_path: Path) -> None:
    code = f"from {__name__} import append_and_die; append_and_die({str(tmp_path)!r})"
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert killed.returncode == 9

    worker = WriteAhead(tmp_path)

    assert worker.adopt() == 1
    assert worker.waiting() == (entry("call_killed"),)
    worker.close()


def append_and_die(folder: str) -> None:
    WriteAhead(Path(folder)).append(entry("call_killed"))
    os._exit(9)


def test_a_file_has_its_name_only_when_it_is_locked(tmp_path: Path) -> None:
    """Otherwise another worker that starts at the same moment would take it for a dead one's."""
    worker = WriteAhead(tmp_path)
    (path,) = tmp_path.iterdir()

    assert path.suffix == ".wal"
    assert write_ahead._locked(path) is None
    worker.close()


# What cannot be read…


@pytest.mark.parametrize("cut", [1, 40, -2])
def test_a_line_that_a_crash_cut_short_is_no_entry(tmp_path: Path, cut: int) -> None:
    whole, half = line_of(tmp_path, entry("call_a")), line_of(tmp_path, entry("call_b"))[:cut]
    written_by_another(tmp_path, whole + half)
    worker = WriteAhead(tmp_path)

    assert worker.adopt() == 1
    assert worker.unreadable == 0
    assert worker.waiting() == (entry("call_a"),)
    worker.close()


def test_whole_lines_that_are_no_entries_are_put_aside(tmp_path: Path) -> None:
    strange = b'{"version":9}\n'
    path = written_by_another(tmp_path, strange + line_of(tmp_path, entry()) + b"\n")
    worker = WriteAhead(tmp_path)

    assert worker.adopt() == 1
    assert worker.unreadable == 2

    worker.done(entry())
    worker.close()
    assert not path.exists()
    assert path.with_suffix(".unreadable").read_bytes() == strange + b"\n"


# The disk…


def test_half_an_entry_is_taken_off_a_full_disk(tmp_path: Path) -> None:
    worker = WriteAhead(tmp_path)
    worker.append(entry("call_a"))
    disk = worker._file
    worker._file = _FullDisk(disk.fileno(), "ab", closefd=False)

    with pytest.raises(OSError, match="full"):
        worker.append(entry("call_b"))

    worker._file.close()
    worker._file = disk
    worker.append(entry("call_c"))
    # It waits in memory, and goes to the ledger from there.
    assert [each.reservation.call_id for each in worker.waiting()] == ["call_a", "call_b", "call_c"]
    worker.close()
    second = WriteAhead(tmp_path)
    assert second.adopt() == 2
    assert second.unreadable == 0
    second.close()


class _FullDisk(io.FileIO):
    """A file on a disk that has room for ten bytes more."""

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # Narrower.
        return super().write(bytes(data)[:10])


def test_a_disk_that_fails_says_so(tmp_path: Path) -> None:
    worker = WriteAhead(tmp_path)
    worker._file.close()

    with Path("/dev/full").open("ab", buffering=0) as full:
        worker._file = full
        with pytest.raises(OSError, match="No space left"):
            worker.append(entry())

    assert len(worker) == 1
    worker.close()


def test_an_entry_is_on_the_disk_before_anything_else_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = WriteAhead(tmp_path)
    (path,) = tmp_path.iterdir()
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.stat().st_size))

    worker.append(entry())

    assert synced == [path.stat().st_size]
    worker.close()


def test_there_is_a_most_that_can_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead, "ENTRIES_MAX", 1)
    worker = WriteAhead(tmp_path)
    worker.append(entry("call_a"))

    with pytest.raises(OSError, match="wait already"):
        worker.append(entry("call_b"))

    assert len(worker) == 1
    worker.close()
