"""Who may use the admin API, and whose data they see."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

Role = Literal["admin", "viewer"]
#: Of a token's digest: enough to tell tokens apart, and nothing to guess one from.
_SHOWN_CHARACTERS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What one token opens."""

    token: str
    role: Role
    #: Empty: all of them.
    teams: frozenset[str] = frozenset()
    #: Who has it; empty: it is called by its digest.
    name: str = ""
    #: When it ends, in milliseconds since 1970; None: never.
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who is asking."""

    role: Role
    teams: frozenset[str]
    #: Who it is, as the journal names them.
    actor: str = ""
    #: Where they ask from, as the journal names it.
    address: str = ""
    #: The token's SHA-256 in hex: a session that holds it ends with the token.
    digest: str = ""

    @property
    def changes(self) -> bool:
        """Whether they may change something."""
        return self.role == "admin"

    @property
    def seen_teams(self) -> frozenset[str] | None:
        """Whose data they see, as filters of the archive have it; None: everybody's."""
        return self.teams or None

    def sees(self, team: str | None) -> bool:
        """Tell whether they see a team's data; None: the data of all teams together."""
        return not self.teams or team in self.teams


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """The token was good until a time, in milliseconds since 1970."""

    at_ms: int


class Tokens:
    """The tokens there are."""

    def __init__(self, openings: Sequence[Opening]) -> None:
        self._openings = tuple((_digest(opening.token), opening) for opening in openings)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._openings)

    def access(self, token: str, now_ms: int) -> Access | Expired | None:
        """Return what a token opens now; None: nothing."""
        return self._find(_digest(token), now_ms)

    def access_by_digest(self, digest: str, now_ms: int) -> Access | Expired | None:
        """Return the same for the digest of a token (`Access.digest`), as sessions keep it."""
        return self._find(digest.encode("utf-8", "replace"), now_ms)

    def _find(self, presented: bytes, now_ms: int) -> Access | Expired | None:
        """Compare each of them, in constant time.

        How long it takes says neither how much of a token is right nor which one it is near.
        """
        found = None
        for digest, opening in self._openings:
            if hmac.compare_digest(digest, presented):
                found = (digest.decode(), opening)
        if found is None:
            return None
        digest_text, opening = found
        if opening.expires_ms is not None and now_ms >= opening.expires_ms:
            return Expired(at_ms=opening.expires_ms)
        actor = opening.name or f"token {digest_text[:_SHOWN_CHARACTERS]}"
        return Access(role=opening.role, teams=opening.teams, actor=actor, digest=digest_text)


def bearer_token(authorization: str) -> str | None:
    """Return the token of an `Authorization` header."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).hexdigest().encode()
