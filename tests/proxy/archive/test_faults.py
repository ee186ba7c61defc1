"""Whoever is ready for an archive that is away is ready for one that is too new."""

from __future__ import annotations

from policies.errors import BursarError
from proxy.archive.faults import ArchiveNewer, ArchiveUnavailable


def test_everything_that_goes_wrong_is_one_fault() -> None:
    assert issubclass(ArchiveNewer, ArchiveUnavailable)
    assert issubclass(ArchiveUnavailable, BursarError)
