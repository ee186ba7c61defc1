"""What an operator sees of the archive: everything counted, what needs eyes logged, and the same once."""

from __future__ import annotations

from collections import Counter

import pytest

from proxy.archive.checkpoints import Signed
from proxy.archive.pieces import Checkpoint
from proxy.archive.resume import Incident
from proxy.archive.retention import Dropped
from proxy.archive.watch import ArchiveWatch
from proxy.telemetry.archive import ArchiveSeries
from tests.doubles.fake_clock import FakeClock
from tests.doubles.stations import keeping_log


class Rig:
    """A watch, what it counts and what it logs."""

    def __init__(self, clock: FakeClock) -> None:
        self.series = ArchiveSeries()
        log, self.logs = keeping_log()
        self.watch = ArchiveWatch(self.series, log, clock, backlog_max=100)

    def number(self, name: str, *labels: str) -> float:
        """Return a number by its name in the code."""
        rows = getattr(self.series, name).rows()
        return float({key: numbers[0] for key, numbers in rows}[labels])

    @property
    def events(self) -> list[str]:
        """The names of what was logged."""
        return self.logs.names


@pytest.fixture
def rig(clock: FakeClock) -> Rig:
    return Rig(clock)


def signed(fault: str | None = None) -> Signed:
    checkpoint = Checkpoint(number=7, at_ms=9_000, hash=b"", key_id="k", signature=b"", where="")
    return Signed(checkpoint, fault)


def test_batches_are_counted(rig: Rig) -> None:
    rig.watch.archived(5, 0.3, Counter())
    rig.watch.archived(7, 0.1, Counter())

    assert rig.number("entries") == 12
    assert sum(rig.series.batch_seconds.rows()[0][1][:-1]) == 2
    assert rig.events == []


def test_another_version_is_counted_always_and_said_once(rig: Rig) -> None:
    for _ in range(3):
        rig.watch.archived(5, 0.3, Counter({2: 4}))
    rig.watch.archived(5, 0.3, Counter({3: 1}))

    assert rig.number("newer") == 13
    assert rig.events == ["journal_entries_of_another_version"] * 2


def test_being_behind_is_said_once_until_it_is_over(rig: Rig) -> None:
    for entries in (100, 101, 500, 7, 3, 200):
        rig.watch.waiting(entries, 1_000, 2_500)

    assert rig.events == ["archive_behind", "archive_caught_up", "archive_behind"]
    assert rig.number("behind") == 1
    assert rig.number("waiting") == 200
    assert rig.number("journal") == 1_000
    assert rig.number("behind_seconds") == 2.5


def test_whoever_does_not_archive_knows_not_for_how_long(rig: Rig) -> None:
    rig.watch.waiting(3, 9, None)

    assert rig.series.behind_seconds.rows() == []


def test_a_failure_is_said_once_until_it_is_over(rig: Rig) -> None:
    for fault in ("away", "away", "full"):
        rig.watch.failed("archive", OSError(fault))
    rig.watch.archived(1, 0.1, Counter())
    rig.watch.failed("archive", OSError())

    assert rig.number("failures", "archive") == 4
    assert rig.events == ["archive_failed"] * 2 + ["archive_works_again", "archive_failed"]
    assert rig.logs.events[-1]["fault"] == "OSError"


@pytest.mark.parametrize("incident", list(Incident))
def test_every_incident_says_what_it_means(rig: Rig, incident: Incident) -> None:
    rig.watch.incident(incident, 12)

    assert rig.number("incidents", incident.value) == 1
    assert rig.logs.events[0]["after_entry"] == 12
    assert len(rig.logs.events[0]["effect"]) > 20


def test_a_checkpoint_tells_its_time(rig: Rig) -> None:
    rig.watch.failed("archive_checkpoint", OSError("no key"))
    rig.watch.signed(signed())

    assert rig.number("checkpoint") == 9
    assert "archive_checkpoint_works_again" in rig.events


def test_a_file_of_checkpoints_that_cannot_be_written_is_said(rig: Rig) -> None:
    rig.watch.signed(signed("/elsewhere: full"))
    rig.watch.signed(signed("/elsewhere: full"))
    rig.watch.signed(signed())

    assert [event for event in rig.events if event != "archive_checkpoint"] == [
        "archive_checkpoint_file_failed",
        "archive_checkpoint_file_works_again",
    ]


def test_dropped_months_are_said_and_those_that_wait_too(rig: Rig) -> None:
    rig.watch.dropped(Dropped())
    rig.watch.dropped(Dropped(("entries_1_202609",), 5, (202_610,)))
    rig.watch.dropped(Dropped())

    assert rig.events == [
        "archive_months_dropped",
        "archive_retention_failed",
        "archive_retention_works_again",
    ]
