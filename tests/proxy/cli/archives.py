"""Calls in the archive that a command's configuration names, as the proxy would have put them there."""

from __future__ import annotations

from proxy.cli.archive_access import open_archive
from proxy.cli.configuration import Configuration
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.lived_calls import Lives

#: A year ago: whatever is in the ledger is later.
LONG_AGO_MS = NOON_MS - 365 * 86_400_000


def archived(configuration: Configuration, lives: Lives) -> None:
    """Put made-up calls into the archive."""
    with open_archive(configuration.settings) as database:
        archive_entries(database, configuration.rulebook.organization, lives.entries)
