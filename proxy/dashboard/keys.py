"""Keys: found among thousands, made, rotated and revoked; a secret is shown once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from policies.windows import parse_duration_ms
from proxy.admin.keys import check_owner, key_etag, key_row
from proxy.admin.schemas import KeyRow
from proxy.dashboard.budget_page import page_number
from proxy.dashboard.gate import Gate, Turned, Visit
from proxy.dashboard.pages import Pages
from proxy.dashboard.sources import Sources
from proxy.keys import KeyChanged, KeyNotUsable, KeyRecord, KeysBusy, UnknownKey

PER_PAGE: Final = 50
STATES: Final = ("active", "expired", "revoked")
GRACE_DEFAULT: Final = "24h"


class Keys:
    """`/keys`."""

    def __init__(self, sources: Sources, gate: Gate, pages: Pages) -> None:
        self._sources = sources
        self._gate = gate
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.get("/keys", self._gate.page(self.show)),
            web.post("/keys", self._gate.act(self.create)),
            web.get("/keys/{id}", self._gate.page(self.show_one)),
            web.post("/keys/{id}/rotate", self._gate.act(self.rotate)),
            web.post("/keys/{id}/revoke", self._gate.act(self.revoke)),
        ]

    async def show(self, visit: Visit) -> web.StreamResponse:
        """Show a page of keys."""
        return await self._list(visit, status=200, said="")

    async def create(self, visit: Visit) -> web.StreamResponse:
        """Make a key, and show its secret this once."""
        services, access = self._sources.services, visit.session.access
        now_ms = services.clock.now_ms()
        try:
            team, user = visit.field("team"), visit.field("user") or None
            check_owner(services.rulebook(), team, user)
            expires = visit.field("expires")
            expires_ms = now_ms + parse_duration_ms(expires) if expires else None
            # Whatever is wrong with the form is said before it counts as sent.
            await self._gate.first_time(visit)
            record, secret = await services.keys.create(
                team,
                user,
                visit.field("name") or None,
                expires_ms,
                actor=access.actor,
                origin=access.address,
            )
        except (ValueError, KeysBusy) as error:
            return await self._list(visit, status=400, said=str(error))
        return self._secret(visit, record, secret, "made")

    async def show_one(self, visit: Visit) -> web.StreamResponse:
        """Show a key, and what can be done with it."""
        return self._one(visit, await self._find(visit))

    async def rotate(self, visit: Visit) -> web.StreamResponse:
        """Give a key a new secret, and show it this once."""
        record, access = await self._seen(visit), visit.session.access
        try:
            grace_ms = parse_duration_ms(visit.field("grace") or GRACE_DEFAULT)
            await self._gate.first_time(visit)
            record, secret = await self._sources.services.keys.rotate(
                record.id, grace_ms, actor=access.actor, origin=access.address, seen=record
            )
        except (ValueError, KeyNotUsable, KeysBusy, KeyChanged) as error:
            return self._one(visit, record, status=400, said=str(error))
        return self._secret(visit, record, secret, "rotated")

    async def revoke(self, visit: Visit) -> web.StreamResponse:
        """End a key, once that was confirmed."""
        record, access = await self._seen(visit), visit.session.access
        if visit.field("sure") != "yes":
            said = "Nothing was revoked: tick the box to say that you are sure."
            return self._one(visit, record, status=400, said=said)
        try:
            record = await self._sources.services.keys.revoke(
                record.id, actor=access.actor, origin=access.address, seen=record
            )
        except (UnknownKey, KeysBusy, KeyChanged) as error:
            return self._one(visit, record, status=409, said=str(error))
        return web.Response(status=303, headers={"Location": f"/keys/{record.id}?done=revoked"})

    async def _list(self, visit: Visit, *, status: int, said: str) -> web.Response:
        services, access = self._sources.services, visit.session.access
        now_ms = services.clock.now_ms()
        wanted = {name: visit.asked(name) for name in ("q", "team", "state")}
        records = await services.keys.list()
        found = [
            record
            for record in reversed(records)
            if access.sees(record.team) and _matches(record, wanted, now_ms)
        ]
        page = page_number(visit.asked("page"))
        first = (page - 1) * PER_PAGE
        shown = found[first : first + PER_PAGE]
        asked = {name: text for name, text in wanted.items() if text}
        teams = services.rulebook().teams
        values: dict[str, Any] = {
            "rows": [(key_row(record, now_ms), record) for record in shown],
            "count": len(found),
            "first": first,
            "wanted": wanted,
            "states": STATES,
            "teams": [name for name in teams if access.sees(name)],
            "members": sorted({user for team in teams.values() for user in team.members}),
            "said": said,
            "fields": visit.fields,
            "previous_address": _address(asked, page - 1) if page > 1 else None,
            "next_address": _address(asked, page + 1) if len(found) > first + PER_PAGE else None,
        }
        return self._pages.show(
            "keys.html",
            title="Keys",
            place="/keys",
            session=visit.session,
            status=status,
            values=values,
        )

    def _one(
        self, visit: Visit, record: KeyRecord, *, status: int = 200, said: str = ""
    ) -> web.Response:
        row = self._row(record)
        values: dict[str, Any] = {
            "row": row,
            "record": record,
            "seen": key_etag(record),
            "said": said,
            "done": visit.asked("done"),
            "grace": GRACE_DEFAULT,
        }
        return self._pages.show(
            "key.html",
            title=row.name or row.id,
            place="/keys",
            session=visit.session,
            status=status,
            values=values,
        )

    def _secret(self, visit: Visit, record: KeyRecord, secret: str, what: str) -> web.Response:
        values = {"row": self._row(record), "secret": secret, "what": what}
        return self._pages.show(
            "key_secret.html",
            title=f"Key {what}",
            place="/keys",
            session=visit.session,
            values=values,
        )

    def _row(self, record: KeyRecord) -> KeyRow:
        return key_row(record, self._sources.services.clock.now_ms())

    async def _seen(self, visit: Visit) -> KeyRecord:
        """Return a key as the form's page showed it. Raises `Turned` if it was changed since."""
        record = await self._find(visit)
        if visit.field("seen") != key_etag(record):
            raise Turned(
                409, "Changed meanwhile", "Somebody changed this key since its page was loaded."
            )
        return record

    async def _find(self, visit: Visit) -> KeyRecord:
        """Return a key. Raises `Turned`; another team's is not said to be there."""
        key_id = visit.request.match_info["id"]
        for record in await self._sources.services.keys.list():
            if record.id == key_id and visit.session.access.sees(record.team):
                return record
        raise Turned(404, "No such key", f"There is no key {key_id}.")


def _matches(record: KeyRecord, wanted: dict[str, str], now_ms: int) -> bool:
    if wanted["team"] and record.team != wanted["team"]:
        return False
    if wanted["state"] in STATES and _state(record, now_ms) != wanted["state"]:
        return False
    word = wanted["q"].casefold()
    texts: Sequence[str | None] = (
        record.id,
        record.name,
        record.user,
        record.team,
        record.prefix,
    )
    return not word or any(word in text.casefold() for text in texts if text)


def _state(record: KeyRecord, now_ms: int) -> str:
    if record.revoked_at_ms is not None:
        return "revoked"
    is_over = record.expires_at_ms is not None and record.expires_at_ms <= now_ms
    return "expired" if is_over else "active"


def _address(asked: dict[str, str], page: int) -> str:
    return f"/keys?{urlencode({**asked, 'page': page})}"
