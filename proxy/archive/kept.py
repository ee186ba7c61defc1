"""Checkpoints that were kept elsewhere: the file that `archive.checkpoint_file` names, or a copy of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from policies.errors import BursarError
from proxy.archive.export import lines
from proxy.archive.pieces import Checkpoint, PublicKey
from proxy.archive.trust import Trust

#: A line has some 350 bytes; a file of ten years, signed every hour, has 30 MB.
FILE_BYTES_MAX: Final = 256 * 1024 * 1024


class NoCheckpoints(BursarError):
    """A file that should hold checkpoints cannot be read, or holds none of this organisation."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a file of checkpoints comes to."""

    #: By the number of their entries; each has a signature that fits.
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)
    #: A sentence for each line that is not believed.
    faults: tuple[str, ...] = ()


def read_kept(path: Path, organization: str, *, pinned: tuple[bytes, ...] = ()) -> Kept:
    """Return an organisation's checkpoints from a file.

    Args:
        path: lines as an export has them, of keys and of checkpoints.
        organization: whose; its name is part of what was signed.
        pinned: the public keys whose signatures count; none: those that the file names.

    Raises:
        NoCheckpoints: it cannot be read, or nothing in it is believed.
    """
    trust, found, faults = Trust(pinned), dict[int, Checkpoint](), list[str]()
    for number, line in enumerate(_lines(path), start=1):
        where = f"line {number} of {path.name}"
        try:
            piece = lines.parsed(line, where)
        except lines.NotALine as fault:
            faults.append(f"{where}: {fault}")
            continue
        match piece:
            case PublicKey():
                said = trust.meet(piece)
            case Checkpoint():
                said = trust.fault(organization, piece) or _contradiction(found, piece)
                if said is None:
                    found[piece.number] = piece
            case _:
                said = "it is neither a key nor a checkpoint"
        if said is not None:
            faults.append(f"{where}: {said}")
    if not found:
        more = f" ({faults[0]})" if faults else ""
        raise NoCheckpoints(f"{path} has no checkpoint of organisation '{organization}'{more}")
    return Kept(found, tuple(faults))


def _lines(path: Path) -> list[bytes]:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise NoCheckpoints(f"{path} is larger than any file of checkpoints")
        return path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise NoCheckpoints(f"{path} cannot be read: {error.strerror or error}") from error


def _contradiction(found: dict[int, Checkpoint], piece: Checkpoint) -> str | None:
    other = found.get(piece.number)
    if other is None or other.hash == piece.hash:
        return None
    return f"{other.where} has another checkpoint of entry {piece.number}: the journal was forked"
