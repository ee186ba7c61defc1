"""`bursar calls show`: the whole life of a call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from policies.units import USD, amount_text
from proxy.admin.access import Access
from proxy.admin.calls import call_life
from proxy.admin.journal_schemas import CallLifeView, EntryRow
from proxy.admin.schemas import Amount, CallView, ChargeRow
from proxy.cli.archive_access import Readers, with_readers
from proxy.cli.configuration import config_option, configured, json_option
from proxy.cli.ledger_access import LedgerAccess
from proxy.cli.output import console, note, show_json, table
from proxy.cli.times import clock_time, span
from proxy.receipts.schedule import Schedule

#: Where a receipt was found.
_SOURCES: Final = {
    "answer": "the answer itself",
    "look-up": "a look-up by id",
    "history": "the billing history",
    "metering": "metering again, for it is never billed",
}
#: What a call is that nobody made.
_GHOSTS: Final = {
    "row": "a row of the billing history that no call of ours explains",
    "late": "rows that came after the rest of their request",
    "totals": "what the account was billed beyond all calls of ours",
}


#: Whoever reads the ledger's own files sees everything.
_EVERYTHING: Final = Access(role="admin", teams=frozenset())


class NoSuchCall(click.ClickException):
    """Nobody has a record of a call."""


@click.command()
@click.argument("call_id", metavar="ID")
@config_option
@json_option
def show(*, call_id: str, config: Path | None, as_json: bool) -> None:
    """Show who called, what was quoted, what each budget was charged, and every entry about it."""

    async def work(readers: Readers) -> tuple[CallLifeView, _Waiting] | None:
        call = await call_life(readers, call_id, _EVERYTHING)
        return None if call is None else (call, await _waiting(readers.access, call))

    found = with_readers(configured(config), work, can_do_without=True)
    if found is None:
        raise NoSuchCall(f"neither ledger nor archive has a record of call {call_id}")
    call, waiting = found
    if as_json:
        show_json(call.model_dump())
        return
    for label, said in (*_described(call), *_receipt(call, waiting)):
        click.echo(f"{click.style(f'{label:<11}', dim=True)} {said}")
    if call.charges:
        click.echo()
        headings = ("budget", "for", ">reserved", ">charged")
        console().print(table(headings, [_charge(row) for row in call.charges]))
    if call.entries is None:
        note("The archive does not answer: entries are not shown")
    elif call.entries:
        click.echo()
        headings = ("at", "entry", ">number", "moved")
        console().print(table(headings, [_entry(row) for row in call.entries]))


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Where a call stands in the queue of those without a receipt."""

    now_ms: int
    #: When it is looked for next; None: it is not.
    next_ms: int | None = None
    #: What came for it and does not add up.
    aside: str = ""


async def _waiting(access: LedgerAccess, call: CallView) -> _Waiting:
    now_ms = access.ledger.now_ms
    if call.provider is None:
        return _Waiting(now_ms())
    schedule = Schedule(access.commands, access.ledger.keys, now_ms)
    due_ms = await schedule.due_ms(call.provider, call.id)
    return _Waiting(now_ms(), due_ms, await schedule.aside(call.provider, call.id))


def _charge(row: ChargeRow) -> tuple[str, str, str, str]:
    charged = "" if row.charged is None else _said(row.unit, row.charged)
    return (row.budget, row.subject or "", _said(row.unit, row.held), charged)


def _entry(row: EntryRow) -> tuple[str, str, str, str]:
    moves = []
    for move in row.movements:
        parts = [
            f"{label} {'+' if _whole(change) > 0 else ''}{_said(move.unit, change)}"
            for label, change in (("spent", move.spent_change), ("reserved", move.reserved_change))
            if _whole(change)
        ]
        moves += [f"{move.budget} {', '.join(parts)}"] if parts else []
    number = f"{row.number:,}" if row.archived else "not archived yet"
    return (clock_time(row.at_ms), row.kind, number, "; ".join(moves))


def _said(unit: str, amount: Amount) -> str:
    return amount_text(unit, _whole(amount))


def _whole(amount: Amount) -> int:
    """Return an amount in its smallest unit, out of what the admin API says."""
    if isinstance(amount, int):
        return amount
    return next(value for value in amount.values() if isinstance(value, int))


def _described(call: CallView) -> list[tuple[str, str]]:
    caller = ", ".join(part for part in (call.team, call.user, call.key_id) if part)
    where = ", ".join(part for part in (call.provider, call.dialect) if part)
    usage = ", ".join(f"{count:,} {part.replace('_', ' ')}" for part, count in call.usage.items())
    money = (("quoted", call.quoted), ("settled", call.settled))
    lines = [
        ("call", f"{call.id}  {click.style(call.state, bold=True)}"),
        ("at", call.at),
        ("ghost", _GHOSTS.get(call.ghost or "", call.ghost or "")),
        ("caller", caller),
        ("model", " at ".join(part for part in (call.model, where) if part)),
        ("status", "" if call.status is None else str(call.status)),
        ("usage", usage),
        *((label, f"${amount.usd}") for label, amount in money if amount is not None),
        ("known as", ", ".join(call.generation_ids)),
    ]
    return [(label, said) for label, said in lines if said]


# What is said of a receipt…


def _receipt(call: CallView, waiting: _Waiting) -> list[tuple[str, str]]:
    if call.ghost is not None and call.receipt is None:
        return []
    if call.receipt is not None:
        return _ended(call, call.receipt)
    if waiting.next_ms is None or call.ended_at is None:
        return []
    ended_ms = int(datetime.fromisoformat(call.ended_at).timestamp() * 1000)
    waited = span(max(0, waiting.now_ms - ended_ms))
    soon_s = -(-max(0, waiting.next_ms - waiting.now_ms) // 1_000)
    following = f"in {span(soon_s * 1_000)}" if soon_s else "now"
    lines = [("receipt", f"waited for since {call.ended_at} ({waited}), looked for {following}")]
    return [*lines, ("set aside", waiting.aside)] if waiting.aside else lines


def _ended(call: CallView, receipt: dict[str, Any]) -> list[tuple[str, str]]:
    for word in ("given_up", "never"):
        if word in receipt:
            said = "given up" if word == "given_up" else "none will come"
            return [("receipt", f"{said}: {receipt[word]}")]
    if call.receipted is None:
        return []
    source = str(receipt.get("source", ""))
    # What was taken for ghost spend, and a call explained it after all, has a reason instead.
    said = f"from {_SOURCES.get(source, source)}" if source else str(receipt.get("reason", ""))
    lines = [("receipted", f"${call.receipted.usd}, {said}{_difference(receipt)}")]
    if charged := receipt.get("credits"):
        lines.append(("credits", ", ".join(amount_text(u, n) for u, n in charged.items())))
    if receipt.get("id"):
        lines.append(("billed as", str(receipt["id"])))
    items = receipt.get("breakdown") or ()
    lines += [("", f"{amount_text(USD, amount)} {item}") for item, amount in items]
    if receipt.get("usage_differs"):
        lines.append(("", "the provider counted other tokens than its answer said"))
    return lines


def _difference(receipt: dict[str, Any]) -> str:
    """Return what a receipt changed."""
    settled, billed = receipt.get("settled_nano_usd"), receipt.get("nano_usd")
    if settled is None or billed is None:
        return ""
    change = billed - settled
    if not change:
        return ", as it was metered"
    more = f"{amount_text(USD, abs(change))} {'more' if change > 0 else 'less'} than metered"
    return f", {more} ({change * 100 / settled:+.1f}%)" if settled else f", {more}"
