"""What is counted about the archive."""

from __future__ import annotations

from typing import Final

from proxy.telemetry.series import Counter, Histogram, Latest

_BATCH_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ArchiveSeries:
    """Numbers about the journal's way into the archive."""

    def __init__(self) -> None:
        self.entries = Counter(
            "bursar_archive_entries", "Entries of the journal that were archived."
        )
        self.batch_seconds = Histogram(
            "bursar_archive_batch_seconds",
            "How long the database took to write a batch.",
            _BATCH_SECONDS,
        )
        self.failures = Counter(
            "bursar_archive_failures", "Times that something of the archive failed.", ("what",)
        )
        self.newer = Counter(
            "bursar_archive_newer_entries",
            "Entries of a version that this program does not know: kept, and not evaluated.",
        )
        self.incidents = Counter(
            "bursar_archive_incidents",
            "Times that the journal did not go on where the archive ended.",
            ("what",),
        )
        self.journal = Latest("bursar_journal_entries", "Entries of the journal in Redis.")
        self.waiting = Latest(
            "bursar_archive_waiting_entries", "Entries that are not archived yet."
        )
        self.behind = Latest(
            "bursar_archive_behind", "1 while more entries wait than `archive.backlog_max`."
        )
        self.behind_seconds = Latest(
            "bursar_archive_behind_seconds", "Age of the oldest entry that is not archived."
        )
        self.checkpoint = Latest(
            "bursar_archive_checkpoint_timestamp_seconds", "When the chain was signed last."
        )
