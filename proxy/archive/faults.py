"""What can go wrong with the archive, in two words; drivers have hundreds."""

from __future__ import annotations

from policies.errors import BursarError


class ArchiveUnavailable(BursarError):
    """The archive's database did not do what it was asked: it is away, full, slow or refuses."""


class ArchiveNewer(ArchiveUnavailable):
    """A newer version of the program has changed the archive's tables: start that one."""
