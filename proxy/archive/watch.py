"""What an operator sees of the archive: all of it counted, and what needs eyes is logged."""

from __future__ import annotations

from collections import Counter

from structlog.typing import FilteringBoundLogger

from policies.clock import Clock
from proxy.archive.checkpoints import Signed
from proxy.archive.resume import Incident
from proxy.archive.retention import Dropped
from proxy.telemetry.archive import ArchiveSeries

_TOLD: dict[Incident, str] = {
    Incident.EMPTIED: "Redis was emptied: what it had not handed over is lost; the archive goes on, "
    "and `bursar ledger rebuild` brings back the counters",
    Incident.OLD_COPY: "Redis was put back to an old copy: the archive keeps what came after it, and "
    "goes on; `bursar ledger rebuild` brings back the counters",
    Incident.ARCHIVE_OLDER: "the archive has less than it had, and gets it again from Redis",
    Incident.ARCHIVE_GAP: "the archive has less than it had, and Redis no longer has what is missing",
}


class ArchiveWatch:
    """Counts and logs."""

    def __init__(
        self, series: ArchiveSeries, log: FilteringBoundLogger, clock: Clock, *, backlog_max: int
    ) -> None:
        self._series = series
        self._log = log
        self._clock = clock
        self._backlog_max = backlog_max
        #: What was said last of each thing that fails: what stays the same is said once.
        self._failed: dict[str, str] = {}
        self._behind = False
        self._newer: set[int] = set()

    def archived(self, entries: int, seconds: float, newer: Counter[int]) -> None:
        """A batch is in the archive."""
        self._series.entries.add_amount(entries)
        self._series.batch_seconds.observe(seconds)
        self._works("archive")
        for version, count in newer.items():
            self._series.newer.add_amount(count)
            if version not in self._newer:
                self._newer.add(version)
                self._log.warning(
                    "journal_entries_of_another_version",
                    version=version,
                    effect="kept and chained; this version makes no rows of calls or sums of them",
                )

    def waiting(self, entries: int, length: int, behind_ms: int | None) -> None:
        """So much waits for the archive; how long is known to whoever archives."""
        now_ms = self._clock.now_ms()
        is_behind = entries > self._backlog_max
        self._series.waiting.see(entries, now_ms)
        self._series.journal.see(length, now_ms)
        self._series.behind.see(int(is_behind), now_ms)
        if behind_ms is not None:
            self._series.behind_seconds.see(behind_ms / 1000, now_ms)
        if is_behind and not self._behind:
            self._log.error("archive_behind", waiting=entries, backlog_max=self._backlog_max)
        elif self._behind and not is_behind:
            self._log.info("archive_caught_up", waiting=entries)
        self._behind = is_behind

    def failed(self, what: str, fault: Exception) -> None:
        """Something did not work; it is tried again."""
        self._series.failures.add(what)
        said = str(fault) or type(fault).__name__
        if self._failed.get(what) != said:
            self._failed[what] = said
            self._log.error(f"{what}_failed", fault=said, effect="it is tried again")

    def incident(self, incident: Incident, number: int) -> None:
        """The journal does not go on where the archive ends."""
        self._series.incidents.add(incident.value)
        self._log.error(incident.value, after_entry=number, effect=_TOLD[incident])

    def signed(self, signed: Signed) -> None:
        """The head of the chain is signed."""
        checkpoint = signed.checkpoint
        self._series.checkpoint.see(checkpoint.at_ms / 1000, self._clock.now_ms())
        self._works("archive_checkpoint")
        if signed.file_fault is None:
            self._works("archive_checkpoint_file")
        else:
            self.failed("archive_checkpoint_file", OSError(signed.file_fault))
        self._log.debug("archive_checkpoint", number=checkpoint.number, key=checkpoint.key_id)

    def dropped(self, dropped: Dropped) -> None:
        """Months that are older than the retention are gone, or could not go."""
        if dropped.partitions:
            self._log.info(
                "archive_months_dropped",
                partitions=list(dropped.partitions),
                last_number=dropped.last_number,
            )
        if dropped.waiting:
            months = ", ".join(str(month) for month in dropped.waiting)
            self.failed(
                "archive_retention",
                RuntimeError(f"no checkpoint lies behind the entries of {months} yet"),
            )
        else:
            self._works("archive_retention")

    def _works(self, what: str) -> None:
        if self._failed.pop(what, None) is not None:
            self._log.info(f"{what}_works_again")
