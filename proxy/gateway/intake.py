"""Bodies on their way in: how many of one key, and how many bytes of all, may be held at once.

They come before any budget is looked at: without a bound, one key with no money left could fill the
worker's memory, or all of its places, with bodies that it never ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# As many as the SDKs of a large team open at once from one process.
PER_KEY_MAX: Final = 512
# Sixteen bodies of the greatest size, or very many usual ones.
BYTES_MAX: Final = 1024 * 1024 * 1024


class Share:
    """What one body has taken so far."""

    __slots__ = ("_intake", "admitted", "taken")

    def __init__(self, intake: Intake, *, admitted: bool) -> None:
        self._intake = intake
        #: False: its key has too many bodies on their way already.
        self.admitted = admitted
        self.taken = 0

    def take(self, size: int) -> bool:
        """Take so many bytes more; False: the worker holds as much as it may."""
        if self._intake.held + size > BYTES_MAX:
            return False
        self._intake.held += size
        self.taken += size
        return True


class Intake:
    """The bodies that this worker is reading."""

    def __init__(self) -> None:
        #: Bytes of all bodies that are being read.
        self.held = 0
        self._bodies: dict[str, int] = {}

    @contextmanager
    def share(self, key_id: str) -> Iterator[Share]:
        """Count one body of a key until it has been read."""
        bodies = self._bodies.get(key_id, 0)
        self._bodies[key_id] = bodies + 1
        share = Share(self, admitted=bodies < PER_KEY_MAX)
        try:
            yield share
        finally:
            self.held -= share.taken
            left = self._bodies[key_id] - 1
            if left:
                self._bodies[key_id] = left
            else:
                del self._bodies[key_id]
