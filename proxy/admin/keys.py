"""Keys: made, listed, rotated and revoked."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from policies.clock import rfc3339
from policies.rulebook import Rulebook
from policies.texts import suggestion
from proxy.admin.door import access_of, body_of
from proxy.admin.replies import Refused, reply
from proxy.admin.schemas import CreatedKey, KeyRequest, KeyRow, Page, RotationRequest
from proxy.admin.services import Services
from proxy.keys import KeyNotUsable, KeyRecord, KeysBusy, UnknownKey

#: Who changed a key, as the key's record and the journal have it.
ACTOR: Final = "admin API"


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


class Keys:
    """`/admin/v1/keys`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.get("/admin/v1/keys", self.list),
            web.post("/admin/v1/keys", self.create),
            web.post("/admin/v1/keys/{id}/rotate", self.rotate),
            web.delete("/admin/v1/keys/{id}", self.revoke),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """List keys."""
        access, now_ms = access_of(request), self._services.clock.now_ms()
        found = await self._services.keys.list()
        items = [key_row(record, now_ms) for record in found if access.sees(record.team)]
        return reply(Page[KeyRow](items=items))

    async def create(self, request: web.Request) -> web.Response:
        """Make a key."""
        wanted = await body_of(request, KeyRequest)
        now_ms = self._services.clock.now_ms()
        try:
            check_owner(self._services.rulebook(), wanted.team, wanted.user)
            record, secret = await self._services.keys.create(
                wanted.team,
                wanted.user,
                wanted.name,
                now_ms + wanted.expires if wanted.expires is not None else None,
                tuple(wanted.tags.items()),
                actor=ACTOR,
            )
        except ValueError as error:
            raise Refused(400, "invalid", str(error)) from error
        except KeysBusy as error:
            raise Refused(409, "busy", str(error)) from error
        return reply(created_key(record, secret, now_ms), status=201)

    async def rotate(self, request: web.Request) -> web.Response:
        """Give a key a new secret."""
        wanted = await body_of(request, RotationRequest)
        try:
            record, secret = await self._services.keys.rotate(
                request.match_info["id"], wanted.grace, actor=ACTOR
            )
        except UnknownKey as error:
            raise Refused(404, "not_found", str(error)) from error
        except (KeyNotUsable, KeysBusy) as error:
            raise Refused(409, "not_usable", str(error)) from error
        except ValueError as error:
            raise Refused(400, "invalid", str(error)) from error
        return reply(created_key(record, secret, self._services.clock.now_ms()))

    async def revoke(self, request: web.Request) -> web.Response:
        """End a key."""
        try:
            record = await self._services.keys.revoke(request.match_info["id"], actor=ACTOR)
        except UnknownKey as error:
            raise Refused(404, "not_found", str(error)) from error
        except KeysBusy as error:
            raise Refused(409, "busy", str(error)) from error
        return reply(key_row(record, self._services.clock.now_ms()))
