"""The walk along a journal's chain: it ends at the first thing that is not as it was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, assert_never

from proxy.archive.chain import genesis, link
from proxy.archive.pieces import (
    Checkpoint,
    Damage,
    End,
    Origin,
    Piece,
    PublicKey,
    StoredEntry,
    Unreadable,
)
from proxy.archive.trust import Trust

#: How far an entry is looked for that another one stands in for: a second or so of work.
LOOKED_AHEAD_MAX: Final = 100_000
#: Entries between two reports of progress.
REPORT_EVERY: Final = 1_000

#: By how much the clocks of whoever signs and whoever exports may differ.
SKEW_MS: Final = 120_000

#: Is told the number of the last entry that was looked at.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A journal that is as it was written, as far as its checkpoints and the trusted keys say."""

    organization: str
    #: Its entries; both 0: it has none.
    first: int
    last: int
    entries: int
    last_hash: bytes
    #: Signatures that were checked, and by which keys.
    checkpoints: int
    keys: tuple[str, ...]
    #: The last entry that a signature covers. Those behind it have the chain alone.
    signed_to: int
    #: The longest stretch without a signature: a checkpoint that somebody took away leaves one.
    unsigned_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Where a journal is not as it was written."""

    #: The first entry that is concerned; None: no entry is.
    number: int | None
    what: Damage
    #: Line of a file or row of a table.
    where: str
    #: A sentence for people.
    said: str


class Walk:
    """One way along a journal, from its origin to its end."""

    def __init__(
        self,
        origin: Origin,
        trust: Trust,
        kept: Mapping[int, Checkpoint],
        progress: Progress | None = None,
    ) -> None:
        """Take checkpoints that were kept elsewhere, by number; they are believed."""
        self._origin = origin
        self._trust = trust
        self._kept = kept
        self._progress = progress
        self._number = origin.first_number - 1
        self._hash = origin.first_hash
        #: In which the last two entries are filed.
        self._months = (0, 0)
        #: A checkpoint that was kept elsewhere and has to come next.
        self._owed: Checkpoint | None = None
        self._checkpoints = 0
        self._keys: set[str] = set()
        self._signed_to = self._number
        self._unsigned_max = 0

    def along(self, pieces: Iterator[Piece]) -> Verified | Broken:
        """Return what all pieces come to."""
        broken = self._beginning()
        while broken is None:
            piece = next(pieces, None)
            match piece:
                case StoredEntry():
                    broken = self._missing_checkpoint() or self._entry(piece, pieces)
                case Checkpoint():
                    broken = self._checkpoint(piece, pieces)
                case PublicKey():
                    broken = self._key(piece)
                case End():
                    broken = self._missing_checkpoint() or self._end(piece, pieces)
                    if broken is None:
                        return self._verified()
                case Unreadable():
                    number = self._number + 1 if piece.entry else None
                    broken = self._broken(number, piece.what, piece.where, piece.said)
                case None:
                    said = f"it ends after entry {self._number} without saying that this is its end"
                    broken = self._broken(
                        self._number + 1, Damage.CUT, f"the end of {self._origin.where}", said
                    )
                case _ as unreachable:
                    assert_never(unreachable)
        return broken

    def _beginning(self) -> Broken | None:
        origin = self._origin
        before = origin.first_number - 1
        if origin.first_number < 1:
            said = (
                f"it says that it begins with entry {origin.first_number}, and entries begin at 1"
            )
            return self._broken(None, Damage.CHANGED, origin.where, said)
        if before == 0 and origin.first_hash != genesis(origin.organization):
            said = f"it does not begin as a journal of organisation '{origin.organization}' does"
            return self._broken(1, Damage.CHANGED, origin.where, said)
        kept = self._kept.get(before)
        if kept is not None and kept.hash != origin.first_hash:
            said = (
                f"the hash before entry {before + 1} is not the one that was kept at {kept.where}"
            )
            return self._broken(before + 1, Damage.REWRITTEN, origin.where, said)
        return None

    # Entries…

    def _entry(self, stored: StoredEntry, following: Iterator[Piece]) -> Broken | None:
        if stored.entry.number != self._number + 1:
            return self._misplaced(stored, following)
        computed = link(self._hash, stored.entry)
        if computed != stored.hash:
            return self._altered(stored, computed, following)
        misfiled = self._misfiled(stored.month, stored.where)
        if misfiled is not None:
            return misfiled
        self._number, self._hash = stored.entry.number, stored.hash
        if self._progress is not None and self._number % REPORT_EVERY == 0:
            self._progress(self._number)
        kept = self._kept.get(self._number)
        if kept is None:
            return None
        if kept.hash != self._hash:
            return self._rewritten(stored.where, f"the checkpoint that was kept at {kept.where}")
        if self._was_there(kept):
            self._owed = kept
        return None

    def _misfiled(self, month: int | None, where: str) -> Broken | None:
        """Look at the month that an entry is filed in, which its hash does not cover: it never goes back.

        Of two that disagree, the one that fits what came before it is right.
        """
        if month is None:
            return None
        before, last = self._months
        if month < last:
            number = self._number if month >= before else self._number + 1
            wrong = last if month >= before else month
            said = f"entry {number} is filed in month {wrong}, out of order"
            return self._broken(number, Damage.CHANGED, where, said)
        self._months = (last, month)
        return None

    def _misplaced(self, stored: StoredEntry, following: Iterator[Piece]) -> Broken:
        found, expected = stored.entry.number, self._number + 1
        if link(self._hash, replace(stored.entry, number=expected)) == stored.hash:
            said = f"entry {expected} had its number changed to {found}"
            return self._broken(expected, Damage.CHANGED, stored.where, said)
        if found < expected:
            said = f"entry {found} stands behind entry {expected - 1}, where {expected} should be"
            return self._broken(found, Damage.ADDED, stored.where, said)
        if not self._origin.sorted and any(
            isinstance(piece, StoredEntry) and piece.entry.number == expected for piece in following
        ):
            said = f"entry {found} stands where entry {expected} should be, which comes later"
            return self._broken(expected, Damage.REORDERED, stored.where, said)
        missing = _entries(expected, found - 1)
        said = f"{missing} missing: entry {found} follows entry {expected - 1}"
        return self._broken(expected, Damage.REMOVED, stored.where, said)

    def _altered(self, stored: StoredEntry, computed: bytes, following: Iterator[Piece]) -> Broken:
        """Say more about an entry whose hash does not fit, by those behind it."""
        number, looked = stored.entry.number, 0
        for piece in following:
            if not isinstance(piece, StoredEntry):
                continue
            looked += 1
            if looked == 1 and link(computed, piece.entry) == piece.hash:
                said = f"the hash of entry {number} was changed; what the entry says was not"
                return self._broken(number, Damage.CHANGED, stored.where, said)
            there = link(self._hash, replace(piece.entry, number=number))
            if there in {stored.hash, piece.hash}:
                said = (
                    f"entry {piece.entry.number} says what entry {number} said: they changed places"
                )
                return self._broken(number, Damage.REORDERED, stored.where, said)
            if looked == LOOKED_AHEAD_MAX:
                break
        said = f"entry {number} is not what was written"
        if number == self._origin.first_number and number > 1:
            said += ", or the hash before it is not"
        return self._broken(number, Damage.CHANGED, stored.where, said)

    def _rewritten(self, where: str, by_whom: str) -> Broken:
        first = self._signed_to + 1
        said = f"{_entries(first, self._number)} written anew, one of them at least: {by_whom} has another hash"
        return self._broken(first, Damage.REWRITTEN, where, said)

    # Signatures…

    def _key(self, key: PublicKey) -> Broken | None:
        said = self._trust.meet(key)
        return None if said is None else self._broken(None, Damage.NOT_SIGNED, key.where, said)

    def _checkpoint(self, checkpoint: Checkpoint, following: Iterator[Piece]) -> Broken | None:
        number = checkpoint.number
        said = self._trust.fault(self._origin.organization, checkpoint)
        if said is not None:
            said = f"the checkpoint of entry {number} does not count: {said}"
            return self._broken(number, Damage.NOT_SIGNED, checkpoint.where, said)
        if number > self._number:
            return self._ahead(checkpoint, following)
        if number < self._origin.first_number - 1:
            return None  # Of entries that retention has dropped.
        if number < self._number:
            said = f"the checkpoint of entry {number} stands behind entry {self._number}"
            return self._broken(number, Damage.REORDERED, checkpoint.where, said)
        if checkpoint.hash != self._hash and number < self._origin.first_number:
            said = f"the hash before entry {number + 1} is not the one that was signed"
            return self._broken(number + 1, Damage.CHANGED, self._origin.where, said)
        if checkpoint.hash != self._hash:
            return self._rewritten(checkpoint.where, f"the signed checkpoint of entry {number}")
        if self._owed is not None and self._owed.number == number:
            self._owed = None
        self._checkpoints += 1
        self._keys.add(checkpoint.key_id)
        self._unsigned_max = max(self._unsigned_max, number - self._signed_to)
        self._signed_to = number
        return None

    def _ahead(self, checkpoint: Checkpoint, following: Iterator[Piece]) -> Broken:
        missing = _entries(self._number + 1, checkpoint.number)
        said = f"{missing} missing: a checkpoint of entry {checkpoint.number} is signed"
        more = any(isinstance(piece, StoredEntry) for piece in following)
        what = Damage.REMOVED if more else Damage.CUT
        return self._broken(self._number + 1, what, checkpoint.where, said)

    def _missing_checkpoint(self) -> Broken | None:
        if self._owed is None:
            return None
        said = (
            f"the checkpoint of entry {self._owed.number}, kept at {self._owed.where}, is missing"
        )
        where = f"behind entry {self._owed.number} of {self._origin.where}"
        return self._broken(self._owed.number, Damage.REMOVED, where, said)

    def _was_there(self, kept: Checkpoint) -> bool:
        """Tell whether a checkpoint must be in what is looked at: not if it was made after it."""
        made_ms = self._origin.at_ms
        return made_ms is None or kept.at_ms + SKEW_MS <= made_ms

    # The end…

    def _end(self, end: End, following: Iterator[Piece]) -> Broken | None:
        number = self._number
        if end.number > number:
            said = f"{_entries(number + 1, end.number)} missing at the end"
            return self._broken(number + 1, Damage.CUT, end.where, said)
        if end.number < number:
            said = f"{_entries(end.number + 1, number)} behind the end that is recorded"
            return self._broken(end.number + 1, Damage.ADDED, end.where, said)
        if end.hash != self._hash:
            said = f"the hash of the end, after entry {number}, is not that of the last entry"
            return self._broken(number or None, Damage.CHANGED, end.where, said)
        misfiled = self._misfiled(end.month, end.where)
        if misfiled is not None:
            return misfiled
        more = next(following, None)
        if isinstance(more, Unreadable):
            return self._broken(None, more.what, more.where, more.said)
        if more is not None:
            return self._broken(None, Damage.ADDED, more.where, "something follows the end")
        return self._kept_beyond() or self._nothing_signed()

    def _kept_beyond(self) -> Broken | None:
        """Return a cut that only checkpoints which were kept elsewhere can tell."""
        origin = self._origin
        if origin.until_ms is not None:
            return None
        beyond = [
            kept
            for number, kept in self._kept.items()
            if number > self._number and self._was_there(kept)
        ]
        if not beyond:
            return None
        last = max(beyond, key=lambda kept: kept.number)
        said = f"{_entries(self._number + 1, last.number)} missing: a checkpoint was kept at {last.where}"
        where = f"the end of {origin.where}"
        return self._broken(self._number + 1, Damage.CUT, where, said)

    def _nothing_signed(self) -> Broken | None:
        """Return that nothing is signed, to whoever has said by whom it has to be."""
        if not self._trust.pinned or self._checkpoints or self._number < self._origin.first_number:
            return None
        said = "no checkpoint is signed by a key that is trusted"
        return self._broken(self._origin.first_number, Damage.NOT_SIGNED, self._origin.where, said)

    def _verified(self) -> Verified:
        entries = self._number - self._origin.first_number + 1
        return Verified(
            organization=self._origin.organization,
            first=self._origin.first_number if entries else 0,
            last=self._number if entries else 0,
            entries=entries,
            last_hash=self._hash,
            checkpoints=self._checkpoints,
            keys=tuple(sorted(self._keys)),
            signed_to=self._signed_to if self._checkpoints else 0,
            unsigned_max=max(self._unsigned_max, self._number - self._signed_to),
        )

    def _broken(self, number: int | None, what: Damage, where: str, said: str) -> Broken:
        return Broken(number=number, what=what, where=where, said=said)


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"
