"""Checkpoints: from time to time the head of the chain is signed, and written down elsewhere too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, insert, select

from policies.clock import Clock
from proxy.archive.database import Database
from proxy.archive.export.lines import checkpoint_line, key_line
from proxy.archive.pieces import Checkpoint, PublicKey
from proxy.archive.signing import SigningKey, load_or_make
from proxy.archive.tables import checkpoints, signing_keys
from proxy.archive.writer import Chain
from proxy.archive_settings import ArchiveSettings


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint that is in the archive, and what went wrong with the file; None: nothing."""

    checkpoint: Checkpoint
    file_fault: str | None = None


class Checkpoints:
    """Signs one organisation's chain. Blocks: it is used from a thread of its own."""

    def __init__(
        self,
        database: Database,
        organization: str,
        *,
        key_file: Path,
        settings: ArchiveSettings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._organization = organization
        self._key_file = key_file
        self._settings = settings
        self._clock = clock
        #: Number and time of the last one; None: not looked up yet.
        self._last: tuple[int, int] | None = None
        #: The key that the file of checkpoints was told of.
        self._told: str | None = None

    def sign_when_due(self, chain: Chain) -> Signed | None:
        """Sign the head if the last checkpoint lies far enough back; None: it does not.

        Raises:
            ArchiveUnavailable: the database did not answer, or refused.
            SigningKeyUnusable: there is no key to sign with.
        """
        number, at_ms = self._last or self._find_last(chain)
        if chain.number == number:
            return None
        due = self._clock.now_ms() - at_ms >= self._settings.checkpoint_every_ms
        if not due and chain.number - number < self._settings.checkpoint_entries:
            return None
        return self.sign(chain)

    def sign(self, chain: Chain) -> Signed | None:
        """Sign the head now; None: it is signed already, or there is none.

        Raises:
            ArchiveUnavailable: the database did not answer, or refused.
            SigningKeyUnusable: there is no key to sign with.
        """
        if chain.number == 0 or self._find_last(chain)[0] >= chain.number:
            return None
        # Read each time: it may have been rotated since.
        key = load_or_make(self._key_file)
        at_ms = self._clock.now_ms()
        checkpoint = key.checkpoint(self._organization, chain.number, at_ms, chain.hash)
        with self._database.begin() as connection:
            known = self._enter_key(connection, key, at_ms)
            connection.execute(
                insert(checkpoints).values(
                    organization_id=chain.organization_id,
                    number=checkpoint.number,
                    at_ms=checkpoint.at_ms,
                    hash=checkpoint.hash,
                    key_id=checkpoint.key_id,
                    signature=checkpoint.signature,
                )
            )
        self._last = (checkpoint.number, checkpoint.at_ms)
        return Signed(checkpoint, self._write_down(checkpoint, known))

    def _find_last(self, chain: Chain) -> tuple[int, int]:
        """Return number and time of the last checkpoint; before the first, the beginning of time."""
        last = (
            select(checkpoints.c.number, checkpoints.c.at_ms)
            .where(checkpoints.c.organization_id == chain.organization_id)
            .order_by(checkpoints.c.number.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(last).one_or_none()
        self._last = (row.number, row.at_ms) if row is not None else (0, 0)
        return self._last

    def _enter_key(self, connection: Connection, key: SigningKey, at_ms: int) -> PublicKey:
        """Enter the public half when it is new: who signed what must be known for ever."""
        created = select(func.min(signing_keys.c.created_ms)).where(signing_keys.c.id == key.id)
        created_ms = connection.execute(created).scalar()
        if created_ms is None:
            created_ms = at_ms
            connection.execute(
                insert(signing_keys).values(
                    id=key.id, public_key=key.public_key, created_ms=created_ms
                )
            )
        return PublicKey(id=key.id, public_key=key.public_key, created_ms=created_ms, where="")

    def _write_down(self, checkpoint: Checkpoint, key: PublicKey) -> str | None:
        """Append to the file that is kept elsewhere, in the lines of an export (`export/lines.py`).

        The archive has the checkpoint, whatever becomes of the file; return what went wrong.
        """
        path = self._settings.checkpoint_file
        if path is None:
            return None
        lines = checkpoint_line(checkpoint)
        if self._told != key.id:
            lines = key_line(key) + lines
        try:
            with path.open("ab") as file:
                file.write(lines)
        except OSError as fault:
            return f"{path}: {fault.strerror}"
        self._told = key.id
        return None
