"""`bursar calls`: the life of a call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from policies.ledger.interface import CallRecord
from policies.units import USD, amount_text
from proxy.admin.call_rows import call_view
from proxy.admin.schemas import CallView
from proxy.cli.configuration import config_option, configured, json_option
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.output import console, show_json, table
from proxy.cli.times import span
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


class NoSuchCall(click.ClickException):
    """The ledger has no record of a call."""


@click.group()
def command() -> None:
    """Show the life of a call."""


@command.command()
@click.argument("call_id", metavar="ID")
@config_option
@json_option
def show(*, call_id: str, config: Path | None, as_json: bool) -> None:
    """Show who called, what was quoted, and what each budget was charged."""

    async def work(access: LedgerAccess) -> tuple[CallRecord, CallView, _Waiting] | None:
        record = await access.ledger.find(call_id)
        if record is None:
            return None
        call = call_view(call_id, record)
        return record, call, await _waiting(access, call)

    found = with_ledger(configured(config), work)
    if found is None:
        raise NoSuchCall(f"the ledger has no record of call {call_id}")
    record, call, waiting = found
    if as_json:
        show_json(call.model_dump())
        return
    for label, said in (*_described(call), *_receipt(record, call, waiting)):
        click.echo(f"{click.style(f'{label:<11}', dim=True)} {said}")
    if record.reservation.charges:
        click.echo()
        headings = ("budget", "for", ">reserved", ">charged")
        console().print(table(headings, _charges(record)))


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


def _charges(record: CallRecord) -> list[tuple[str, str, str, str]]:
    charges = record.reservation.charges
    charged = record.charged or (None,) * len(charges)
    return [
        (
            charge.budget,
            charge.subject,
            amount_text(charge.unit, charge.held),
            "" if amount is None else amount_text(charge.unit, amount),
        )
        for charge, amount in zip(charges, charged, strict=True)
    ]


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


def _receipt(record: CallRecord, call: CallView, waiting: _Waiting) -> list[tuple[str, str]]:
    if call.ghost is not None and call.receipt is None:
        return []
    if call.receipt is not None:
        return _ended(call, call.receipt)
    if waiting.next_ms is None:
        return []
    waited = span(max(0, waiting.now_ms - record.ended_ms))
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
