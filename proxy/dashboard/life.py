"""One call: its whole life, from quote to receipt, entry by entry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web
from markupsafe import Markup

from policies.journal import Check, Movement
from policies.ledger.keys import REPORTED
from proxy.admin.journal_rows import checks_in, movements_in
from proxy.admin.recent import recent
from proxy.admin.sight import Sight, sight
from proxy.archive.chain import ChainedEntry
from proxy.archive.lines import CallLife
from proxy.dashboard.charts.bars import share_bar
from proxy.dashboard.gate import Gate, Turned, Visit
from proxy.dashboard.notices import object_of
from proxy.dashboard.pages import Pages
from proxy.dashboard.sources import Sources
from proxy.dashboard.wording import cost, span

#: What happened, as people say it, by the kind of entry.
HAPPENED: Final = {
    "admitted": "Admitted",
    "refused": "Refused",
    "would_refuse": "Would have been refused",
    "settle": "Settled",
    "release": "Released",
    "expire": "Expired",
    "receipt": "Receipted",
    "give_up": "No receipt came",
    "restore": "Restored",
}
#: What was said when the call came in, and is shown; another version may say less.
_TOLD: Final = ("team", "user", "key", "provider", "model", "dialect", "streamed")
_TONES: Final = {"refused": "bad", "expire": "warn", "give_up": "warn", "would_refuse": "warn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One entry of a call's life."""

    #: None: the archive has it not yet.
    number: int | None
    kind: str
    title: str
    said: str
    tone: str
    at_ms: int
    #: How long after the first.
    after: str
    movements: Sequence[Movement]
    #: What it says, as JSON to be read.
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetShare:
    """What one budget holds, and is charged, of a call; amounts in its unit."""

    budget: str
    subject: str
    #: Where more is said of it.
    address: str
    unit: str
    held: int
    limit: int
    #: None: it was refused, or nothing was booked yet.
    charged: int | None
    mode: str
    short: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyStep:
    """One of the amounts that a call was thought to cost, as a bar."""

    name: str
    nano_usd: int
    bar: Markup


class Life:
    """`/calls/{id}`."""

    def __init__(self, sources: Sources, gate: Gate, pages: Pages) -> None:
        self._sources = sources
        self._gate = gate
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [web.get("/calls/{id}", self._gate.page(self.show))]

    async def show(self, visit: Visit) -> web.StreamResponse:
        """Show it."""
        call_id = visit.request.match_info["id"]
        entries = await self._entries(call_id, visit.session.access.seen_teams)
        if not entries:
            # Another team's call is not even said to exist.
            raise Turned(404, "No such call", f"There is no call {call_id}, or not one of yours.")
        sees = sight(self._sources.services.rulebook(), visit.session.access)
        steps = steps_of(entries, sees)
        first, last = object_of(entries[0].data), entries[-1]
        facts = _facts(entries)
        values: dict[str, Any] = {
            "call_id": call_id,
            "first": {name: str(first.get(name) or "") for name in _TOLD},
            "state": state_of(entries),
            "steps": steps,
            "budgets": budget_shares(entries, sees),
            "money": money_steps(facts),
            "facts": facts,
            "usage": usage_of(entries),
            "lasted": span(last.at_ms - entries[0].at_ms) if len(entries) > 1 else "",
            "is_refused": entries[0].kind == "refused",
            "at_ms": entries[0].at_ms,
        }
        return self._pages.show(
            "call.html",
            title="Call",
            place="/calls",
            session=visit.session,
            values=values,
        )

    async def _entries(self, call_id: str, teams: frozenset[str] | None) -> Sequence[ChainedEntry]:
        """Return a call's entries: those of the archive, and those that it has not yet."""
        services = self._sources.services
        archive, ledger = services.archive, services.ledger
        found: CallLife | None = await archive.call(call_id, teams=teams)
        archived = found.entries if found is not None else ()
        tail = (await recent(ledger, archive)).of_call(call_id)
        later = [
            ChainedEntry(
                number=each.number,
                stream_id=each.entry.id,
                at_ms=each.entry.at_ms,
                version=0,
                kind=each.entry.kind,
                call_id=call_id,
                data=each.entry.data,
                moves=_rows_text(each.entry.movements),
                checks=_rows_text(each.entry.checks),
            )
            for each in tail
        ]
        if found is None and later:
            team = object_of(later[0].data).get("team")
            if teams is not None and team not in teams:
                return ()
        return (*archived, *later)


def movements_seen(entry: ChainedEntry, sees: Sight) -> list[Movement]:
    """Return what an entry did to counters of budgets that somebody may see."""
    return [each for each in movements_in(entry) if sees(each.counter.partition(":")[0])]


def steps_of(entries: Sequence[ChainedEntry], sees: Sight) -> list[Step]:
    """Return entries as steps of a life."""
    start_ms = entries[0].at_ms
    return [
        Step(
            number=entry.number,
            kind=entry.kind,
            title=HAPPENED.get(entry.kind, entry.kind),
            said=said_of(entry),
            tone=_TONES.get(entry.kind, "good" if entry.kind == "receipt" else "plain"),
            at_ms=entry.at_ms,
            after=f"+{span(entry.at_ms - start_ms)}" if entry.at_ms > start_ms else "",
            movements=movements_seen(entry, sees),
            data=json.dumps(object_of(entry.data), indent=2, ensure_ascii=False),
        )
        for entry in entries
    ]


def said_of(entry: ChainedEntry) -> str:
    """Return what an entry says, in a sentence."""
    data = object_of(entry.data)
    amount = _whole(data.get("nano_usd"))
    match entry.kind:
        case "admitted":
            count = len(checks_in(entry)) or len(movements_in(entry))
            held = _whole(_object(data.get("quote")).get("nano_usd"))
            return f"{cost(held)} held, against {_counted(count, 'budget')}"
        case "refused":
            blocking = [check for check in checks_in(entry) if check.short]
            names = ", ".join(check.budget for check in blocking)
            return f"no room in {names}" if names else "no room in a budget"
        case "settle":
            return f"metered at {cost(amount)}, {data.get('certainty') or 'of unknown certainty'}"
        case "receipt":
            return _billed(data, amount)
        case "release":
            return "it cost nothing, and what was held is free again"
        case "expire":
            return "its worker was gone: charged as it was reserved"
        case "give_up":
            return str(data.get("reason") or "the metered amount stands")
        case _:
            return ""


def state_of(entries: Sequence[ChainedEntry]) -> str:
    """Return in which state a call is after these entries."""
    states = {
        "admitted": "reserved",
        "refused": "refused",
        "settle": "settled",
        "release": "released",
        "expire": "expired",
        "receipt": "receipted",
        "give_up": "unreceipted",
    }
    known = [states[entry.kind] for entry in entries if entry.kind in states]
    return known[-1] if known else "unknown"


def budget_shares(entries: Sequence[ChainedEntry], sees: Sight) -> list[BudgetShare]:
    """Return what each budget of a call holds and is charged."""
    charged: dict[str, int] = {}
    for entry in entries:
        for movement in movements_in(entry):
            if movement.spent_change or entry.kind in ("settle", "receipt", "expire"):
                charged[movement.counter] = charged.get(movement.counter, 0) + movement.spent_change
    return [
        BudgetShare(
            budget=check.budget,
            subject=check.subject,
            address=_address(check),
            unit=check.unit,
            held=check.held,
            limit=check.limit,
            charged=charged.get(check.counter),
            mode=check.mode,
            short=check.short,
        )
        for entry in entries
        if entry.kind in ("admitted", "refused")
        for check in checks_in(entry)
        if sees(check.budget)
    ]


def money_steps(facts: Mapping[str, int | None]) -> list[MoneyStep]:
    """Return what a call was thought to cost, was metered at and was billed, on one scale."""
    amounts = [(name, amount) for name, amount in facts.items() if amount is not None]
    most = max((amount for _, amount in amounts), default=0)
    return [
        MoneyStep(
            name=name,
            nano_usd=amount,
            bar=share_bar(amount, most, f"{name}: {cost(amount)}", kind=name),
        )
        for name, amount in amounts
    ]


def usage_of(entries: Sequence[ChainedEntry]) -> dict[str, int]:
    """Return the disjoint parts of what was used, as they were metered last."""
    parts: dict[str, int] = {}
    for entry in entries:
        lines = object_of(entry.data).get("usage")
        if entry.kind == "settle" and isinstance(lines, list):
            parts = {}
            for line in lines:
                for name, count in _object(line).items():
                    if type(count) is int:
                        part = name.replace("_", " ")
                        parts[part] = parts.get(part, 0) + count
    return parts


def _address(check: Check) -> str:
    """Return the page of a budget; quotas of providers are on one of their own."""
    if check.kind == REPORTED:
        return "/wallets"
    asked = f"?subject={quote(check.subject, safe='')}" if check.subject else ""
    return f"/budgets/{quote(check.budget)}{asked}"


def _billed(data: Mapping[str, Any], amount: int | None) -> str:
    """Return what a receipt says, and how far that is from what was metered."""
    text = f"billed {cost(amount)} ({data.get('source') or 'by the provider'})"
    metered = _whole(data.get("settled_nano_usd"))
    if amount is None or metered is None or amount == metered:
        return text
    return f"{text}: {cost(abs(amount - metered))} {'more' if amount > metered else 'less'} than metered"


def _facts(entries: Sequence[ChainedEntry]) -> dict[str, int | None]:
    facts: dict[str, int | None] = {"quoted": None, "settled": None, "receipted": None}
    for entry in entries:
        data = object_of(entry.data)
        if entry.kind in ("admitted", "refused"):
            facts["quoted"] = _whole(_object(data.get("quote")).get("nano_usd"))
        elif entry.kind == "settle":
            facts["settled"] = _whole(data.get("nano_usd"))
        elif entry.kind == "receipt":
            facts["receipted"] = _whole(data.get("nano_usd"))
    return facts


def _rows_text(rows: Sequence[Movement] | Sequence[Check]) -> str:
    """Return rows as the archive has them."""
    return json.dumps([[getattr(row, name) for name in row.__dataclass_fields__] for row in rows])


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
