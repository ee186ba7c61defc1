"""What is kept of callers' keys, in the organisation's Redis, and how administrators change it.

Only digests of secrets are kept. A secret has 256 bits of chance in it, so that one round of
SHA-256 is enough: there is nothing to guess, and a slow digest would only make every call slow.
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, Protocol

import msgspec
from msgspec.structs import replace

from policies.clock import Clock
from policies.errors import BursarError
from policies.ledger.keys import Keys

SECRET_PREFIX: Final = "bsr_"
_ALPHABET: Final = string.digits + string.ascii_letters
# 62**43 is more than 2**256.
_SECRET_CHARACTERS: Final = 43
_ID_CHARACTERS: Final = 16
# Of a secret, to tell keys apart: the prefix and six characters.
_SHOWN_CHARACTERS: Final = 10
# Every worker holds all of them, about 1 KiB each.
KEYS_MAX: Final = 100_000
TEXT_CHARACTERS_MAX: Final = 128
TAGS_MAX: Final = 16
GRACE_MS_MAX: Final = 365 * 86_400_000
# Further ahead, no calendar is sure to have a date.
EXPIRES_MS_MAX: Final = 36_525 * 86_400_000
# How long a list still shows a key that ended, and a secret that was replaced.
_ENDED_KEPT_MS: Final = 90 * 86_400_000
_REPLACED_KEPT_MS: Final = 86_400_000
# Administrators rarely change keys in the same millisecond; after this many times it is a fault.
_TRIES_MAX: Final = 20
_COUNTER: Final = (files("policies.ledger") / "lua" / "counter.lua").read_bytes()
_CHANGE: Final = _COUNTER + b"\n" + (files("proxy") / "key_store.lua").read_bytes()
# Acts, as the journal names them.
CREATED, ROTATED, REVOKED_ACT = "key_created", "key_rotated", "key_revoked"
_encode: Final = msgspec.json.Encoder().encode


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


class UnknownKey(BursarError):
    """There is no key with this id."""


class KeyNotUsable(BursarError):
    """The key was revoked or has expired: make a new one."""


class KeysBusy(BursarError):
    """Keys are being changed by others all the time: try again."""


class KeyChanged(BursarError):
    """Somebody changed the key since whoever asks has seen it: look again, then decide."""


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of one secret; there is nothing in it that would let anybody in."""

    #: Stays the same when the secret is rotated.
    id: str
    team: str
    created_at_ms: int
    #: The beginning of the secret, to tell it from others.
    prefix: str
    name: str | None = None
    user: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    #: A new secret took its place; this one works until `grace_until_ms`.
    replaced_at_ms: int | None = None
    grace_until_ms: int | None = None
    #: Who changed it last.
    actor: str | None = None


_Written = Mapping[bytes, KeyRecord]


class _Change(msgspec.Struct, frozen=True):
    """Records as they are to be from now on, and the act that they are journalled as."""

    kind: str
    #: The key's newest record.
    record: KeyRecord
    written: _Written
    grace_ms: int | None = None


class Valid(msgspec.Struct, frozen=True):
    """The key is good."""

    record: KeyRecord


class Invalid(msgspec.Struct, frozen=True):
    """The key is not good: it is `unknown`, `revoked` or `expired`."""

    reason: str


UNKNOWN: Final = Invalid("unknown")
REVOKED: Final = Invalid("revoked")
EXPIRED: Final = Invalid("expired")


def judge(record: KeyRecord, now_ms: int) -> Valid | Invalid:
    """Return whether a key is good at a time."""
    if record.revoked_at_ms is not None:
        return REVOKED
    for end_ms in (record.expires_at_ms, record.grace_until_ms):
        if end_ms is not None and now_ms >= end_ms:
            return EXPIRED
    return Valid(record)


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret, whatever somebody presents as one."""
    return sha256(secret.encode("utf-8", "replace")).hexdigest().encode()


def new_secret() -> str:
    """Return a secret that nobody can guess."""
    return SECRET_PREFIX + _random_text(_SECRET_CHARACTERS)


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


_decode_record: Final = msgspec.json.Decoder(KeyRecord).decode


async def read_rows(commands: Commands, keys: Keys) -> tuple[int, Mapping[bytes, bytes]]:
    """Return the version of the keys, and the records by the digest of their secret.

    The version is read first: the rows may be newer than it says, and never older.
    """
    version = await commands.execute("GET", keys.callers_version)
    rows = await commands.execute("HGETALL", keys.callers)
    found = dict(zip(rows[::2], rows[1::2], strict=True)) if isinstance(rows, list) else rows
    return int(version or 0), found


def record_of(row: bytes) -> KeyRecord | None:
    """Return a record as Redis keeps it; None: another version of the program wrote it."""
    try:
        return _decode_record(row)
    except msgspec.DecodeError:
        return None


class KeyStore:
    """Makes, rotates and revokes keys; for administrators."""

    def __init__(
        self,
        commands: Commands,
        keys: Keys,
        clock: Clock,
        *,
        make_secret: Callable[[], str] = new_secret,
    ) -> None:
        self._commands = commands
        self._keys = keys
        self._clock = clock
        self._make_secret = make_secret

    async def create(
        self,
        team: str,
        user: str | None = None,
        name: str | None = None,
        expires_ms: int | None = None,
        tags: Sequence[tuple[str, str]] = (),
        *,
        actor: str | None = None,
        origin: str | None = None,
    ) -> tuple[KeyRecord, str]:
        """Make a key; return what is kept of it, and its secret, which nobody can tell again.

        Args:
            team: whose calls it makes.
            user: the only user whose calls it makes.
            name: what it is for.
            expires_ms: when it ends, since the epoch; None for never.
            tags: what its calls are tagged with.
            actor: who makes it, from `origin`: an address, or `cli`.

        Raises:
            ValueError: a value is empty, too long, in the past, or too far ahead.
        """
        now_ms = self._clock.now_ms()
        _check_texts(team, user, name, *(text for tag in tags for text in tag))
        _check_end(expires_ms, now_ms)
        if len(tags) > TAGS_MAX:
            raise ValueError(f"a key has at most {TAGS_MAX} tags")
        secret = self._make_secret()
        record = KeyRecord(
            id=f"key_{_random_text(_ID_CHARACTERS)}",
            team=team,
            user=user,
            name=name,
            tags=tuple(sorted(tags)),
            created_at_ms=now_ms,
            expires_at_ms=expires_ms,
            prefix=secret[:_SHOWN_CHARACTERS],
            actor=actor,
        )

        def made(records: Mapping[bytes, KeyRecord]) -> _Change:
            if len(records) >= KEYS_MAX:
                raise ValueError(f"there are {KEYS_MAX} keys already: a new one has no room")
            return _Change(CREATED, record, {digest_of(secret): record})

        await self._change(made, actor, origin)
        return record, secret

    async def list(self) -> Sequence[KeyRecord]:
        """Return all keys, those that have ended lately too, each once, oldest first."""
        _, rows = await read_rows(self._commands, self._keys)
        records = [record for row in rows.values() if (record := record_of(row)) is not None]
        current = (record for record in records if record.replaced_at_ms is None)
        return sorted(current, key=lambda record: (record.created_at_ms, record.id))

    async def rotate(
        self,
        key_id: str,
        grace_ms: int,
        *,
        actor: str | None = None,
        origin: str | None = None,
        seen: KeyRecord | None = None,
    ) -> tuple[KeyRecord, str]:
        """Give a key a new secret; the old one works until the grace is over.

        Args:
            seen: the key as whoever asks has seen it; None: whatever it is.

        Raises:
            UnknownKey: there is no such key.
            KeyChanged: it is not as it was seen.
            KeyNotUsable: it has ended, and rotating it would bring it back.
            ValueError: the grace is negative, or longer than a year.
        """
        if not 0 <= grace_ms <= GRACE_MS_MAX:
            raise ValueError("the grace is from nothing to a year")
        secret = self._make_secret()
        current: list[KeyRecord] = []

        def rotated(records: Mapping[bytes, KeyRecord]) -> _Change:
            now_ms = self._clock.now_ms()
            digest, old = _current(records, key_id, seen)
            if not isinstance(judge(old, now_ms), Valid):
                raise KeyNotUsable(f"key {key_id} was revoked or has expired: make a new one")
            new = replace(old, prefix=secret[:_SHOWN_CHARACTERS], actor=actor)
            ends_ms = now_ms + grace_ms
            current[:] = [new]
            ending = replace(old, replaced_at_ms=now_ms, grace_until_ms=ends_ms, actor=actor)
            return _Change(ROTATED, new, {digest: ending, digest_of(secret): new}, grace_ms)

        await self._change(rotated, actor, origin)
        return current[0], secret

    async def revoke(
        self,
        key_id: str,
        *,
        actor: str | None = None,
        origin: str | None = None,
        seen: KeyRecord | None = None,
    ) -> KeyRecord:
        """End a key with all its secrets, for good. Doing it again changes nothing.

        Raises:
            UnknownKey: there is no such key.
            KeyChanged: it is not as it was seen.
        """
        current: list[KeyRecord] = []

        def revoked(records: Mapping[bytes, KeyRecord]) -> _Change:
            now_ms = self._clock.now_ms()
            _current(records, key_id, seen)
            changed = {
                digest: replace(record, revoked_at_ms=now_ms, actor=actor)
                for digest, record in records.items()
                if record.id == key_id and record.revoked_at_ms is None
            }
            current[:] = [_current({**records, **changed}, key_id)[1]]
            return _Change(REVOKED_ACT, current[0], changed)

        await self._change(revoked, actor, origin)
        return current[0]

    async def _change(
        self,
        decide: Callable[[Mapping[bytes, KeyRecord]], _Change],
        actor: str | None,
        origin: str | None,
    ) -> None:
        """Read, decide, and write if nobody else has written meanwhile; else begin again."""
        keys = self._keys
        for _ in range(_TRIES_MAX):
            version, rows = await read_rows(self._commands, keys)
            records = {
                digest: record
                for digest, row in rows.items()
                if (record := record_of(row)) is not None
            }
            change = decide(records)
            written = change.written
            if not written:
                return
            now_ms = self._clock.now_ms()
            removed = [
                digest
                for digest, record in records.items()
                if digest not in written and _is_forgotten(record, now_ms)
            ]
            pairs = [
                part for digest, record in written.items() for part in (digest, _encode(record))
            ]
            arguments: list[bytes | str | int] = [
                *(version, change.kind, _act_data(change, actor, origin)),
                len(written),
                *pairs,
                *removed,
            ]
            done = await self._commands.execute(
                "EVAL", _CHANGE, 3, keys.callers, keys.callers_version, keys.journal, *arguments
            )
            if int(done) >= 0:
                return
        raise KeysBusy("keys are being changed by others all the time: try again")


def _act_data(change: _Change, actor: str | None, origin: str | None) -> str:
    """Return what the journal says of a change; nothing in it would let anybody in."""
    record = change.record
    said = {"actor": actor, "from": origin, "key": record.id, "expires_ms": record.expires_at_ms}
    said |= {name: getattr(record, name) for name in ("team", "user", "name", "prefix")}
    if change.grace_ms is not None:
        said["grace_ms"] = change.grace_ms
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _current(
    records: Mapping[bytes, KeyRecord], key_id: str, seen: KeyRecord | None = None
) -> tuple[bytes, KeyRecord]:
    """Return the record of a key's newest secret, if it is as it was seen."""
    for digest, record in records.items():
        if record.id == key_id and record.replaced_at_ms is None:
            if seen is not None and record != seen:
                raise KeyChanged(f"somebody changed key {key_id} since you looked: look again")
            return digest, record
    raise UnknownKey(f"there is no key {key_id}")


def _is_forgotten(record: KeyRecord, now_ms: int) -> bool:
    """Tell whether a record ended so long ago that nobody looks for it any more."""
    ends = (record.expires_at_ms, record.revoked_at_ms, record.grace_until_ms)
    ended_ms = min((end_ms for end_ms in ends if end_ms is not None), default=now_ms)
    kept_ms = _ENDED_KEPT_MS if record.replaced_at_ms is None else _REPLACED_KEPT_MS
    return now_ms - ended_ms > kept_ms


def _check_end(expires_ms: int | None, now_ms: int) -> None:
    ends_in_ms = 1 if expires_ms is None else expires_ms - now_ms
    if ends_in_ms <= 0:
        raise ValueError("the key would have expired already: give a time in the future")
    if ends_in_ms > EXPIRES_MS_MAX:
        raise ValueError("a key is good for a hundred years: leave its end out for longer")


def _check_texts(*texts: str | None) -> None:
    for text in texts:
        if text is None:
            continue
        if not text or len(text) > TEXT_CHARACTERS_MAX or not text.isprintable():
            raise ValueError(
                f"names, users, teams and tags have 1 to {TEXT_CHARACTERS_MAX} printable characters"
            )
