"""The audit log: searched, verified, exported."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from policies.journal import Movement
from proxy.admin.access import Access
from proxy.admin.acts import EXPORTED, note_act
from proxy.admin.audit_export import AT_ONCE_MAX, file_name
from proxy.admin.audit_verify import verification
from proxy.admin.journal_schemas import VerificationView
from proxy.admin.sight import Sight, sight
from proxy.archive.chain import ChainedEntry
from proxy.archive.database import ArchiveUnavailable
from proxy.archive.export.mark import Chunk
from proxy.archive.export.question import MEDIA_TYPES, Format, Question
from proxy.archive.export.stream import chunks
from proxy.archive.filters import AuditFilter, BadFilter, CallFilter
from proxy.archive.lines import Page
from proxy.dashboard.call_filters import cursor_of, time_of
from proxy.dashboard.gate import Gate, Turned, Visit
from proxy.dashboard.life import HAPPENED, movements_seen, said_of
from proxy.dashboard.notices import ALERT, alert_text, object_of
from proxy.dashboard.pages import HEADERS, NO_STORE, Pages
from proxy.dashboard.sources import Sources

PER_PAGE: Final = 50
#: People wait for a page; `bursar audit verify` takes the time that it takes.
VERIFY_S: Final = 25.0
FIELDS: Final = ("kind", "call", "actor", "since", "until", "acts")
#: What can be taken away, and what it is called.
FORMATS: Final = {
    Format.JSONL: "Journal, with its chain",
    Format.CSV: "Calls as CSV",
    Format.PARQUET: "Calls as Parquet",
    Format.FOCUS: "Costs in FOCUS",
}
#: Acts as people say them.
ACTS: Final = {
    "key_created": "Key made",
    "key_rotated": "Key rotated",
    "key_revoked": "Key revoked",
    "grant_made": "Budget raised",
    "grant_ended": "Raise ended",
    "policies_loaded": "Policies loaded",
    "settings_loaded": "Settings loaded",
    "signed_in": "Signed in",
    "sign_in_failed": "Sign-in failed",
    "signed_out": "Signed out",
    "receipts_run": "Receipts looked for",
    "exported": "Exported",
    "ledger_rebuilt": "Ledger rebuilt",
    "signing_key_rotated": "Signing key rotated",
    ALERT: "Alert",
    "alert_ended": "Alert over",
    "alert_undelivered": "Alert not delivered",
    "price_changed": "Price changed",
    "drift": "Price list off",
    "wallet_opened": "Quota open",
    "wallet_closed": "Quota closed",
    "wallet_status": "Account's state",
}
_SHOWN_MAX: Final = 20_000
# What an act is about, in the order in which it is said.
_TOLD: Final = (
    "name",
    "key",
    "grant",
    "budget",
    "subject",
    "provider",
    "model",
    "quota",
    "status",
    "team",
    "user",
    "reason",
    "version",
    "why",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entry as a page shows it."""

    number: int
    at_ms: int
    kind: str
    title: str
    call_id: str | None
    actor: str
    origin: str
    said: str
    data: str
    movements: tuple[Movement, ...]


class Audit:
    """`/audit`."""

    def __init__(
        self, sources: Sources, gate: Gate, pages: Pages, verify_s: float = VERIFY_S
    ) -> None:
        self._sources = sources
        self._gate = gate
        self._pages = pages
        self._verify_s = verify_s
        self._walking = False
        self._free = AT_ONCE_MAX

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.get("/audit", self._gate.page(self.show)),
            web.post("/audit/verify", self._gate.act(self.verify, by_viewers=True)),
            web.get("/audit/export", self._gate.page(self.export), allow_head=False),
        ]

    async def show(self, visit: Visit) -> web.StreamResponse:
        """Show a page of entries."""
        return await self._page(visit, None)

    async def verify(self, visit: Visit) -> web.StreamResponse:
        """Walk the whole chain, as far as that gets in the time, and say what came of it."""
        if not visit.session.access.sees(None):
            raise Turned(403, "Not for this sign-in", "The chain is about all teams together.")
        if self._walking:
            raise Turned(409, "Under way", "The chain is being verified: wait for that to end.")
        self._walking = True
        try:
            verdict = await verification(self._sources.services, self._verify_s)
        finally:
            self._walking = False
        return await self._page(visit, verdict)

    async def export(self, visit: Visit) -> web.StreamResponse:
        """Send an export, as it is read."""
        question = self._question(visit)
        if self._free <= 0:
            raise Turned(409, "Busy", "Other exports are under way: wait for one of them.")
        self._free -= 1
        try:
            return await self._send(visit, question)
        finally:
            self._free += 1

    def _question(self, visit: Visit) -> Question:
        """Return what is to be exported. Raises `Turned` and `BadFilter`."""
        form, access = visit.asked("format"), visit.session.access
        if form not in tuple(FORMATS):
            raise Turned(400, "No such format", f"There is {', '.join(FORMATS)}.")
        if form == Format.JSONL and not access.sees(None):
            raise Turned(403, "Not for this sign-in", "The journal is about all teams together.")
        now_ms = self._sources.services.ledger.now_ms()
        return Question(
            format=Format(form),
            calls=CallFilter(
                teams=access.seen_teams,
                since_ms=time_of("since", visit.asked("since") or None, now_ms),
                until_ms=time_of("until", visit.asked("until") or None, now_ms),
            ),
        )

    async def _send(self, visit: Visit, question: Question) -> web.StreamResponse:
        services = self._sources.services
        now_ms, organization = services.clock.now_ms(), services.rulebook().organization
        # Before a byte is out: nobody takes away what no entry says that they took.
        asked = {name: str(value) for name, value in question.document().items()}
        await note_act(services.ledger, EXPORTED, visit.session.access, **asked)

        def begin() -> tuple[Iterator[Chunk], Chunk | None]:
            found = chunks(services.database, organization, question, exported_ms=now_ms)
            return found, next(found, None)

        # What goes wrong with the first piece is still a page.
        pieces, piece = await asyncio.to_thread(begin)
        name = file_name(organization, question.format, now_ms)
        response = web.StreamResponse(
            headers={
                **HEADERS,
                **NO_STORE,
                "Content-Type": MEDIA_TYPES[question.format],
                "Content-Disposition": f'attachment; filename="{name}"',
            }
        )
        await response.prepare(visit.request)
        try:
            while piece is not None:
                if piece.data:
                    await response.write(piece.data)
                piece = await asyncio.to_thread(next, pieces, None)
        except (ArchiveUnavailable, ConnectionError):
            _cut(visit)
        except Exception:
            _cut(visit)
            raise
        return response

    async def _page(self, visit: Visit, verdict: VerificationView | None) -> web.Response:
        access = visit.session.access
        fields = {name: visit.asked(name) for name in FIELDS}
        found: Page[ChainedEntry] = Page(items=(), next=None)
        said, before, head = "", None, None
        try:
            before = cursor_of(visit.asked("before"))
            found = await self._sources.services.archive.audit(
                self._wanted(fields, access), before=before, count_max=PER_PAGE
            )
        except BadFilter as bad:
            said = str(bad)
        if access.sees(None):
            head = await self._sources.services.archive.head()
        sees = sight(self._sources.services.rulebook(), access)
        asked = {name: text for name, text in fields.items() if text}
        values: dict[str, Any] = {
            "rows": [row_of(entry, sees) for entry in found.items],
            "fields": fields,
            "kinds": {**ACTS, **HAPPENED} if access.sees(None) else HAPPENED,
            "is_filtered": bool(asked),
            "said": said,
            "verdict": verdict,
            "head": head,
            "formats": {
                form.value: name
                for form, name in FORMATS.items()
                if access.sees(None) or form is not Format.JSONL
            },
            "sees_all": access.sees(None),
            "next_address": _address(asked, found.next) if found.next is not None else None,
            "first_address": _address(asked, None) if before is not None else None,
        }
        return self._pages.show(
            "audit.html",
            title="Audit",
            place="/audit",
            session=visit.session,
            status=400 if said else 200,
            values=values,
        )

    def _wanted(self, fields: Mapping[str, str], access: Access) -> AuditFilter:
        now_ms = self._sources.services.ledger.now_ms()
        return AuditFilter(
            teams=access.seen_teams,
            kind=fields["kind"] or None,
            call_id=fields["call"] or None,
            actor=fields["actor"] or None,
            since_ms=time_of("since", fields["since"] or None, now_ms),
            until_ms=time_of("until", fields["until"] or None, now_ms),
            acts_only=bool(fields["acts"]),
        )


def _cut(visit: Visit) -> None:
    """End an answer in its middle: the last chunk is missing, and so whoever reads it knows."""
    if visit.request.transport is not None:
        visit.request.transport.abort()


def row_of(entry: ChainedEntry, sees: Sight) -> Row:
    """Return an entry as a page shows it to somebody who may see some budgets."""
    data = object_of(entry.data)
    shown = json.dumps(data, indent=2, ensure_ascii=False) if data else entry.data
    if len(shown) > _SHOWN_MAX:
        shown = shown[:_SHOWN_MAX] + "\n… the export has all of it"
    return Row(
        number=entry.number,
        at_ms=entry.at_ms,
        kind=entry.kind,
        title=ACTS.get(entry.kind) or HAPPENED.get(entry.kind, entry.kind),
        call_id=entry.call_id,
        actor=str(data.get("actor") or "") if entry.call_id is None else "",
        origin=str(data.get("from") or "") if entry.call_id is None else "",
        said=said_of(entry) if entry.call_id else _act(entry.kind, data),
        data=shown,
        movements=tuple(movements_seen(entry, sees)),
    )


def _act(kind: str, data: Mapping[str, Any]) -> str:
    """Return what an act was about."""
    if kind == ALERT:
        return alert_text(data)
    return " · ".join(str(data[name]) for name in _TOLD if data.get(name))


def _address(asked: Mapping[str, str], before: int | None) -> str:
    fields = dict(asked) if before is None else {**asked, "before": str(before)}
    return f"/audit?{urlencode(fields)}" if fields else "/audit"
