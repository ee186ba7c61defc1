"""Who is calling: the key that came with the request, and what its headers may add to that."""

from __future__ import annotations

from typing import Final, Protocol

from multidict import CIMultiDictProxy

from policies.budgets import Caller
from policies.rulebook import Rulebook
from proxy.dialects.endpoints import Endpoint
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Refusal
from proxy.keys import Invalid, KeyRecord, Valid

USER_HEADER: Final = "x-bursar-user"
SESSION_HEADER: Final = "x-bursar-session"
TAGS_HEADER: Final = "x-bursar-tags"
# Values become parts of counters' names and of journal entries.
VALUE_CHARS_MAX: Final = 128
TAGS_MAX: Final = 16
# With names, the signs between them, and a space where people put one.
TAGS_CHARS_MAX: Final = TAGS_MAX * (2 * VALUE_CHARS_MAX + 3)


class Keys(Protocol):
    """Whatever knows the callers' keys."""

    async def find_fresh(self, secret: str) -> Valid | Invalid:
        """Return the key's record, or why it is not valid."""
        ...


async def authenticate(
    headers: CIMultiDictProxy[str], endpoint: Endpoint, keys: Keys, rulebook: Rulebook
) -> Caller | Refusal:
    """Return who is calling, or the refusal of one who may not."""
    secret = find_secret(headers, endpoint.key_from_query)
    if secret is None:
        return _unauthenticated(
            "no key came with the request: send it as 'Authorization: Bearer bsr_…', "
            "x-api-key or x-goog-api-key",
            "missing",
        )
    match await keys.find_fresh(secret):
        case Valid(record):
            return _caller(record, headers, rulebook)
        case Invalid(reason):
            return _unauthenticated(
                f"this key is {reason}: use one that 'bursar keys create' printed", reason
            )


def find_secret(headers: CIMultiDictProxy[str], key_from_query: str | None) -> str | None:
    """Return the key of a request, from wherever the SDKs put it (protocols.md, D1)."""
    for name in ("x-api-key", "x-goog-api-key", "api-key"):
        if value := headers.get(name):
            return value.strip()
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return key_from_query or None


def _caller(
    record: KeyRecord, headers: CIMultiDictProxy[str], rulebook: Rulebook
) -> Caller | Refusal:
    user, tags = record.user, dict(record.tags)
    session = headers.get(SESSION_HEADER)
    named = headers.get(USER_HEADER)
    given_tags = headers.get(TAGS_HEADER)
    if session is None and named is None and given_tags is None:
        return Caller(key_id=record.id, team=record.team, user=user, tags=record.tags)
    team = rulebook.teams.get(record.team)
    accept = team.accept if team is not None else frozenset[str]()
    for header, word, value in (
        (USER_HEADER, "user", named),
        (SESSION_HEADER, "session", session),
        (TAGS_HEADER, "tags", given_tags),
    ):
        if value is None:
            continue
        if word not in accept:
            return _not_allowed(
                f"keys of team '{record.team}' may not send {header}: leave it out, "
                f"or add '{word}' to the team's `accept`"
            )
        chars_max = TAGS_CHARS_MAX if word == "tags" else VALUE_CHARS_MAX
        if not value or len(value) > chars_max or not value.isprintable():
            return _not_allowed(
                f"{header} has no usable value: send up to {chars_max} printable characters"
            )
    if named is not None and record.user is not None and named != record.user:
        return _not_allowed(
            f"this key belongs to user '{record.user}': {USER_HEADER} names another"
        )
    if given_tags is not None:
        parsed = _tags(given_tags)
        if parsed is None:
            return _not_allowed(
                f"{TAGS_HEADER} is not a list such as k=v,k2=v2 of at most {TAGS_MAX}"
            )
        # What the key itself is tagged with cannot be changed from outside.
        tags = parsed | tags
    return Caller(
        key_id=record.id,
        team=record.team,
        user=named or user,
        session=session,
        tags=tuple(sorted(tags.items())),
    )


def _tags(text: str) -> dict[str, str] | None:
    pairs = [part.partition("=") for part in text.split(",")]
    tags = {name.strip(): value.strip() for name, _, value in pairs}
    whole = all(separator for _, separator, _ in pairs)
    fits = all(0 < len(part) <= VALUE_CHARS_MAX for tag in tags.items() for part in tag)
    return tags if whole and fits and len(tags) <= TAGS_MAX else None


def _unauthenticated(message: str, reason: str) -> Refusal:
    return Refusal(status=401, kind=ErrorKind.UNAUTHENTICATED, message=message, reason=reason)


def _not_allowed(message: str) -> Refusal:
    return Refusal(status=400, kind=ErrorKind.NOT_ALLOWED, message=message)
