"""Keys: made, listed, rotated and revoked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import BeforeValidator

from policies.clock import rfc3339
from policies.rulebook import Rulebook
from policies.texts import suggestion
from proxy.admin.access import Access
from proxy.admin.asked import access_of, body_of, query_of
from proxy.admin.cursors import cursor, place_of
from proxy.admin.etags import check_unchanged, etag_of
from proxy.admin.operations import BUSY, CHANGED, IF_MATCH, NOT_FOUND, NOT_USABLE, Operation
from proxy.admin.queries import CURSOR_SCHEMA, PAGE_DEFAULT, Limit, Query, Wanted
from proxy.admin.replies import Refused, reply
from proxy.admin.schemas import CreatedKey, KeyRequest, KeyRow, Page, RotationRequest
from proxy.admin.services import Services
from proxy.keys import KeyChanged, KeyNotUsable, KeyRecord, KeysBusy, UnknownKey

_LIST: Final = "keys"
#: The moment at which the last key of a page was made, and its id.
After = tuple[int, str]


def _after(text: object) -> object:
    if not isinstance(text, str):
        return text
    match place_of(_LIST, text):
        case [int(at_ms), str(key_id)]:
            return at_ms, key_id
        case _:
            raise ValueError("is none that this list gave: leave it out to begin anew")


class KeysQuery(Query):
    """Which keys."""

    team: Wanted | None = None
    user: Wanted | None = None
    state: Literal["active", "expired", "revoked"] | None = None
    #: A part of its id, name, user, team or prefix, in capitals or not.
    search: Wanted | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: Annotated[After, BeforeValidator(_after), CURSOR_SCHEMA] | None = None


def check_owner(rulebook: Rulebook, team: str, user: str | None) -> None:
    """Check that a key can belong to somebody.

    Raises:
        ValueError: there is no such team, or no such user in it; the message says who there is.
    """
    found = rulebook.teams.get(team)
    if found is None:
        raise ValueError(f"'{team}' is not a team: {suggestion(team, rulebook.teams)}")
    if not found.has_member(user):
        hint = suggestion(user or "", found.members)
        raise ValueError(f"'{user}' is not in team '{team}': {hint}")


def key_row(record: KeyRecord, now_ms: int) -> KeyRow:
    """Return a key without its secret."""
    return KeyRow(
        id=record.id,
        state=_state(record, now_ms),
        team=record.team,
        user=record.user,
        name=record.name,
        tags=dict(record.tags),
        prefix=record.prefix,
        created_at=rfc3339(record.created_at_ms),
        expires_at=_time(record.expires_at_ms),
        revoked_at=_time(record.revoked_at_ms),
    )


def created_key(record: KeyRecord, secret: str, now_ms: int) -> CreatedKey:
    """Return a key with its secret."""
    return CreatedKey(**key_row(record, now_ms).model_dump(), key=secret)


def _state(record: KeyRecord, now_ms: int) -> str:
    if record.revoked_at_ms is not None:
        return "revoked"
    if record.expires_at_ms is not None and record.expires_at_ms <= now_ms:
        return "expired"
    return "active"


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


def keys_page(
    records: Sequence[KeyRecord], access: Access, wanted: KeysQuery, now_ms: int
) -> Page[KeyRow]:
    """Return the part of all keys that is wanted and may be seen, oldest first."""
    word = (wanted.search or "").casefold()
    found = [
        record
        for record in records
        if access.sees(record.team)
        and wanted.team in (None, record.team)
        and wanted.user in (None, record.user)
        and (wanted.cursor is None or (record.created_at_ms, record.id) > wanted.cursor)
        and (not word or _mentions(record, word))
        and wanted.state in (None, _state(record, now_ms))
    ]
    page = found[: wanted.limit]
    last = page[-1] if len(found) > wanted.limit else None
    return Page[KeyRow](
        items=[key_row(record, now_ms) for record in page],
        cursor=None if last is None else cursor(_LIST, last.created_at_ms, last.id),
    )


def key_etag(record: KeyRecord) -> str:
    """Return the tag of what a key is now: rotating, revoking and its end change it."""
    return etag_of(record.id, record.prefix, record.expires_at_ms, record.revoked_at_ms)


def _mentions(record: KeyRecord, word: str) -> bool:
    texts = (record.id, record.name, record.user, record.team, record.prefix)
    return any(word in text.casefold() for text in texts if text is not None)


class Keys:
    """`/admin/v1/keys`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return (
            Operation(
                method="GET",
                path="/admin/v1/keys",
                name="list_keys",
                says="List keys, oldest first; a key that ended is listed for another 90 days.",
                handler=self.list,
                query=KeysQuery,
                answer=Page[KeyRow],
            ),
            Operation(
                method="POST",
                path="/admin/v1/keys",
                name="create_key",
                says="Make a key. Its secret is in this answer and nowhere else.",
                handler=self.create,
                body=KeyRequest,
                answer=CreatedKey,
                status=201,
                tagged=True,
                refuses=(BUSY,),
            ),
            Operation(
                method="GET",
                path="/admin/v1/keys/{id}",
                name="get_key",
                says="Show a key.",
                handler=self.show,
                answer=KeyRow,
                tagged=True,
                refuses=(NOT_FOUND,),
            ),
            *self._changes(),
        )

    def _changes(self) -> Sequence[Operation]:
        return (
            Operation(
                method="POST",
                path="/admin/v1/keys/{id}/rotate",
                name="rotate_key",
                says="Give a key a new secret; the old one works until the grace is over.",
                handler=self.rotate,
                body=RotationRequest,
                answer=CreatedKey,
                tagged=True,
                headers=(IF_MATCH,),
                refuses=(NOT_FOUND, NOT_USABLE, CHANGED),
            ),
            Operation(
                method="DELETE",
                path="/admin/v1/keys/{id}",
                name="revoke_key",
                says="End a key with all its secrets, for good.",
                handler=self.revoke,
                answer=KeyRow,
                tagged=True,
                headers=(IF_MATCH,),
                refuses=(NOT_FOUND, BUSY, CHANGED),
            ),
        )

    async def list(self, request: web.Request) -> web.Response:
        """List keys."""
        found = await self._services.keys.list()
        wanted, now_ms = query_of(request, KeysQuery), self._services.clock.now_ms()
        return reply(keys_page(found, access_of(request), wanted, now_ms))

    async def show(self, request: web.Request) -> web.Response:
        """Show a key; another team's is not even said to exist."""
        record = await self._find(request)
        return reply(key_row(record, self._services.clock.now_ms()), etag=key_etag(record))

    async def create(self, request: web.Request) -> web.Response:
        """Make a key."""
        wanted, access = await body_of(request, KeyRequest), access_of(request)
        now_ms = self._services.clock.now_ms()
        try:
            check_owner(self._services.rulebook(), wanted.team, wanted.user)
            record, secret = await self._services.keys.create(
                wanted.team,
                wanted.user,
                wanted.name,
                now_ms + wanted.expires if wanted.expires is not None else None,
                tuple(wanted.tags.items()),
                actor=access.actor,
                origin=access.address,
            )
        except ValueError as error:
            raise Refused(400, "invalid", str(error)) from error
        except KeysBusy as error:
            raise Refused(409, "busy", str(error)) from error
        return reply(created_key(record, secret, now_ms), status=201, etag=key_etag(record))

    async def rotate(self, request: web.Request) -> web.Response:
        """Give a key a new secret."""
        wanted, access = await body_of(request, RotationRequest), access_of(request)
        try:
            record, secret = await self._services.keys.rotate(
                request.match_info["id"],
                wanted.grace,
                actor=access.actor,
                origin=access.address,
                seen=await self._seen(request),
            )
        except KeyChanged as error:
            raise Refused(412, "changed", str(error)) from error
        except UnknownKey as error:
            raise Refused(404, "not_found", str(error)) from error
        except (KeyNotUsable, KeysBusy) as error:
            raise Refused(409, "not_usable", str(error)) from error
        except ValueError as error:
            raise Refused(400, "invalid", str(error)) from error
        row = created_key(record, secret, self._services.clock.now_ms())
        return reply(row, etag=key_etag(record))

    async def revoke(self, request: web.Request) -> web.Response:
        """End a key."""
        access = access_of(request)
        try:
            record = await self._services.keys.revoke(
                request.match_info["id"],
                actor=access.actor,
                origin=access.address,
                seen=await self._seen(request),
            )
        except KeyChanged as error:
            raise Refused(412, "changed", str(error)) from error
        except UnknownKey as error:
            raise Refused(404, "not_found", str(error)) from error
        except KeysBusy as error:
            raise Refused(409, "busy", str(error)) from error
        return reply(key_row(record, self._services.clock.now_ms()), etag=key_etag(record))

    async def _seen(self, request: web.Request) -> KeyRecord | None:
        """Return the key as the client has seen it, if it says which that was."""
        if "If-Match" not in request.headers:
            return None
        record = await self._find(request)
        check_unchanged(request, key_etag(record))
        return record

    async def _find(self, request: web.Request) -> KeyRecord:
        key_id, access = request.match_info["id"], access_of(request)
        for record in await self._services.keys.list():
            if record.id == key_id and access.sees(record.team):
                return record
        raise Refused(404, "not_found", f"there is no key {key_id}")
