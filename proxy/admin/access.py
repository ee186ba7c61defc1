"""Who may use the admin API, and whose data they see."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

Role = Literal["admin", "viewer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one token opens."""

    token: str
    role: Role
    #: Empty: all of them.
    teams: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who is asking."""

    role: Role
    teams: frozenset[str]

    @property
    def changes(self) -> bool:
        """Whether they may change something."""
        return self.role == "admin"

    def sees(self, team: str | None) -> bool:
        """Tell whether they see a team's data; None: the data of all teams together."""
        return not self.teams or team in self.teams


class Tokens:
    """The tokens there are."""

    def __init__(self, grants: Sequence[Grant]) -> None:
        self._grants = tuple((_digest(grant.token), grant) for grant in grants)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._grants)

    def access(self, token: str) -> Access | None:
        """Return what a token opens; None: nothing.

        Digests are compared, each of them and in constant time: how long it takes says neither how
        much of a token is right nor which one it is near.
        """
        presented, found = _digest(token), None
        for digest, grant in self._grants:
            if hmac.compare_digest(digest, presented):
                found = grant
        return Access(role=found.role, teams=found.teams) if found is not None else None


def bearer_token(authorization: str) -> str | None:
    """Return the token of an `Authorization` header."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()
