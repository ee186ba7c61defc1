"""The lines of an exported journal: one JSON object each, in exactly one way of writing it.

    {"bursar_journal":1,"organization":…,"first_number":…,"first_hash":…,"exported_ms":…,"asked":{…}}
    {"key":…,"public_key":…,"created_ms":…}                                        before its checkpoints
    {"number":…,"stream_id":…,"at_ms":…,"version":…,"kind":…,"call_id":…,
     "data":…,"moves":…,"checks":…,"more":…,"hash":…}                              an entry
    {"checkpoint":…,"at_ms":…,"hash":…,"key":…,"signature":…}                      behind its entry
    {"last_number":…,"last_hash":…,"entries":…,"checkpoints":…,"sha256":…}         the last line

Bytes are in hexadecimal, `data`, `moves`, `checks` and `more` are JSON texts as they stood in the journal, for
it is the text that the hash covers. `sha256` is that of every byte before the last line.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from proxy.archive.chain import ChainedEntry
from proxy.archive.pieces import Checkpoint, PublicKey, StoredEntry, well_formed

#: The form of the file.
FORM: Final = 1
_FIRST_KEY: Final = "bursar_journal"
_plain = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ascii = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_ENTRY: Final = (*ChainedEntry.__dataclass_fields__, "hash")
_KEY: Final = ("key", "public_key", "created_ms")
_CHECKPOINT: Final = ("checkpoint", "at_ms", "hash", "key", "signature")
_TRAILER: Final = ("last_number", "last_hash", "entries", "checkpoints", "sha256")
_HEADER: Final = (
    _FIRST_KEY,
    "organization",
    "first_number",
    "first_hash",
    "exported_ms",
    "asked",
)


class NotALine(ValueError):
    """A line that no export has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line."""

    organization: str
    #: The first entry of the stretch, and the hash of the one before it.
    first_number: int
    #: None: entries are left out, and nothing can be verified.
    first_hash: bytes | None
    exported_ms: int
    #: What was asked for (`Question.document`).
    asked: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailer:
    """The last line."""

    last_number: int
    #: None: entries were left out, and no chain leads here.
    last_hash: bytes | None
    entries: int
    checkpoints: int
    sha256: bytes


Line = Header | PublicKey | StoredEntry | Checkpoint | Trailer


def header_line(header: Header) -> bytes:
    """Return the first line."""
    return _line(
        {
            _FIRST_KEY: FORM,
            "organization": header.organization,
            "first_number": header.first_number,
            "first_hash": None if header.first_hash is None else header.first_hash.hex(),
            "exported_ms": header.exported_ms,
            "asked": header.asked,
        }
    )


def key_line(key: PublicKey) -> bytes:
    """Return the line of a public key."""
    return _line({"key": key.id, "public_key": key.public_key.hex(), "created_ms": key.created_ms})


def entry_line(stored: StoredEntry) -> bytes:
    """Return the line of an entry."""
    return _line({**asdict(stored.entry), "hash": stored.hash.hex()})


def checkpoint_line(checkpoint: Checkpoint) -> bytes:
    """Return the line of a checkpoint."""
    return _line(
        {
            "checkpoint": checkpoint.number,
            "at_ms": checkpoint.at_ms,
            "hash": checkpoint.hash.hex(),
            "key": checkpoint.key_id,
            "signature": checkpoint.signature.hex(),
        }
    )


def trailer_line(trailer: Trailer) -> bytes:
    """Return the last line."""
    return _line(
        {
            "last_number": trailer.last_number,
            "last_hash": None if trailer.last_hash is None else trailer.last_hash.hex(),
            "entries": trailer.entries,
            "checkpoints": trailer.checkpoints,
            "sha256": trailer.sha256.hex(),
        }
    )


def parsed(line: bytes, where: str) -> Line:
    """Return what a line says, without its end of line.

    Raises:
        NotALine: it is none of these, or not written in the one way.
    """
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NotALine("it is not JSON") from error
    if not isinstance(document, dict):
        raise NotALine("it is not a JSON object")
    # Anything that reads the same and is written otherwise (a key twice, a space, other digits) could
    # say something else to another reader: no export writes that.
    if _line(document) != line + b"\n":
        raise NotALine("it is not written as an export writes it")
    try:
        return _piece(document, where)
    except (KeyError, TypeError, ValueError) as error:
        raise NotALine("it is no line of a journal's export") from error


def _piece(document: dict[str, Any], where: str) -> Line:
    match tuple(document):
        case names if names == _ENTRY:
            digest = _bytes(document.pop("hash"))
            entry = ChainedEntry(**document)
            if not well_formed(entry):
                raise NotALine("its values are not those of an entry")
            return StoredEntry(entry=entry, hash=digest, where=where)
        case names if names == _CHECKPOINT:
            return Checkpoint(
                number=_whole(document["checkpoint"]),
                at_ms=_whole(document["at_ms"]),
                hash=_bytes(document["hash"]),
                key_id=_text(document["key"]),
                signature=_bytes(document["signature"]),
                where=where,
            )
        case names if names == _KEY:
            return PublicKey(
                id=_text(document["key"]),
                public_key=_bytes(document["public_key"]),
                created_ms=_whole(document["created_ms"]),
                where=where,
            )
        case names if names == _TRAILER:
            return Trailer(
                last_number=_whole(document["last_number"]),
                last_hash=_bytes_or_none(document["last_hash"]),
                entries=_whole(document["entries"]),
                checkpoints=_whole(document["checkpoints"]),
                sha256=_bytes(document["sha256"]),
            )
        case names if names == _HEADER:
            return _header(document)
    raise NotALine("it is no line of a journal's export")


def _header(document: dict[str, Any]) -> Header:
    if document[_FIRST_KEY] != FORM:
        raise NotALine(f"its form is {document[_FIRST_KEY]!r}, and {FORM} is known here")
    if not isinstance(document["asked"], dict):
        raise NotALine("it does not say what was asked for")
    return Header(
        organization=_text(document["organization"]),
        first_number=_whole(document["first_number"]),
        first_hash=_bytes_or_none(document["first_hash"]),
        exported_ms=_whole(document["exported_ms"]),
        asked=document["asked"],
    )


def _line(document: dict[str, Any]) -> bytes:
    try:
        return _plain(document).encode() + b"\n"
    except UnicodeEncodeError:
        # Half of a surrogate pair: JSON can say it in ASCII, UTF-8 cannot.
        return _ascii(document).encode() + b"\n"


def _whole(value: object) -> int:
    if type(value) is not int:
        raise NotALine("a number is missing")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise NotALine("a text is missing")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, str) or value != value.lower() or not value.isalnum():
        raise NotALine("bytes are missing")
    return bytes.fromhex(value)


def _bytes_or_none(value: object) -> bytes | None:
    return None if value is None else _bytes(value)
