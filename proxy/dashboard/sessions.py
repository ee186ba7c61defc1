"""Who is signed in. Sessions are kept in Redis: they hold on every replica, and can be ended.

A cookie carries 256 random bits and nothing else. Redis keeps them as a digest, together with the digest
of the token that opened the session: a token that was taken out of the configuration, or has expired,
ends its sessions with it.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from policies.clock import Clock
from proxy.admin.access import Access
from proxy.dashboard.sources import Commands, Tokens

#: A page that nobody looked at for so long is shut.
IDLE_S: Final = 2 * 3_600
#: And any after a working day.
WHOLE_MS: Final = 12 * 3_600_000
#: How long a form that was sent is remembered, so that sending it again does nothing.
ONCE_S: Final = 3_600
_BYTES: Final = 32
#: Longer texts in a cookie are nobody's session.
_COOKIE_CHARACTERS_MAX: Final = 64


class _Kept(msgspec.Struct, frozen=True):
    """What Redis keeps of a session."""

    digest: str
    csrf: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session that is good."""

    #: As the cookie has it.
    secret: str
    access: Access
    #: What every form of this session carries.
    csrf: str

    def owns(self, csrf: str) -> bool:
        """Tell whether a form is one of this session."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode("utf-8", "replace"))


class Sessions:
    """Opens, finds and ends sessions. Everything raises `LedgerUnavailable`."""

    def __init__(self, commands: Commands, prefix: str, tokens: Tokens, clock: Clock) -> None:
        self._commands = commands
        self._prefix = prefix
        self._tokens = tokens
        self._clock = clock

    async def open(self, access: Access) -> Session:
        """Open a session for whoever presented a token."""
        secret, csrf = secrets.token_urlsafe(_BYTES), secrets.token_urlsafe(_BYTES)
        kept = _Kept(digest=access.digest, csrf=csrf, at_ms=self._clock.now_ms())
        await self._commands.execute(
            "SET", self._key(secret), msgspec.json.encode(kept), "EX", IDLE_S
        )
        return Session(secret=secret, access=access, csrf=csrf)

    async def find(self, secret: str, address: str, *, keeps_open: bool = True) -> Session | None:
        """Return the session of a cookie; None: there is none, or its token is no good any more.

        Args:
            secret: what the cookie holds.
            address: where the request came from.
            keeps_open: whether somebody looks: what a page asks for by itself keeps nothing open.
        """
        if not 0 < len(secret) <= _COOKIE_CHARACTERS_MAX:
            return None
        key = self._key(secret)
        command = ("GETEX", key, "EX", IDLE_S) if keeps_open else ("GET", key)
        row = await self._commands.execute(*command)
        if row is None:
            return None
        try:
            kept = msgspec.json.decode(row, type=_Kept)
        except msgspec.DecodeError:
            return None
        now_ms = self._clock.now_ms()
        found = self._tokens.access_by_digest(kept.digest, now_ms)
        if not isinstance(found, Access) or now_ms - kept.at_ms >= WHOLE_MS:
            await self._commands.execute("DEL", key)
            return None
        access = Access(
            role=found.role,
            teams=found.teams,
            actor=found.actor,
            address=address,
            digest=found.digest,
        )
        return Session(secret=secret, access=access, csrf=kept.csrf)

    async def end(self, session: Session) -> None:
        """End a session, on every replica."""
        await self._commands.execute("DEL", self._key(session.secret))

    async def once(self, session: Session, form: str) -> bool:
        """Tell whether a form is sent for the first time: a page that is loaded again sends it again."""
        name = sha256(f"{session.secret}\n{form}".encode("utf-8", "replace")).hexdigest()
        key = f"{self._prefix}:form:{name}"
        return await self._commands.execute("SET", key, "1", "NX", "EX", ONCE_S) is not None

    def _key(self, secret: str) -> str:
        return f"{self._prefix}:session:{sha256(secret.encode('utf-8', 'replace')).hexdigest()}"
