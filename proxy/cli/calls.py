"""`bursar calls`: the life of a call."""

from __future__ import annotations

from pathlib import Path

import click

from policies.ledger.interface import CallRecord
from policies.units import amount_text
from proxy.admin.call_rows import call_view
from proxy.admin.schemas import CallView
from proxy.cli.configuration import config_option, configured, json_option
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.output import console, show_json, table


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

    async def work(access: LedgerAccess) -> CallRecord | None:
        return await access.ledger.find(call_id)

    record = with_ledger(configured(config), work)
    if record is None:
        raise NoSuchCall(f"the ledger has no record of call {call_id}")
    call = call_view(call_id, record)
    if as_json:
        show_json(call.model_dump())
        return
    for label, said in _described(call):
        click.echo(f"{click.style(f'{label:<11}', dim=True)} {said}")
    if record.reservation.charges:
        click.echo()
        headings = ("budget", "for", ">reserved", ">charged")
        console().print(table(headings, _charges(record)))


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
    usage = ", ".join(f"{count:,} {part.replace('_', ' ')}" for part, count in call.usage.items())
    money = (("quoted", call.quoted), ("settled", call.settled), ("receipted", call.receipted))
    lines = [
        ("call", f"{call.id}  {click.style(call.state, bold=True)}"),
        ("at", call.at),
        ("caller", caller),
        ("model", f"{call.model} at {call.provider}, {call.dialect}"),
        ("status", "" if call.status is None else str(call.status)),
        ("usage", usage),
        *((label, f"${amount.usd}") for label, amount in money if amount is not None),
        ("known as", ", ".join(call.generation_ids)),
    ]
    return [(label, said) for label, said in lines if said]
