"""`bursar audit`: the journal."""

from __future__ import annotations

import asyncio
import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from policies.journal import Entry
from policies.units import amount_text
from proxy.admin.journal_tail import latest
from proxy.cli.audit_export import export
from proxy.cli.audit_keys import checkpoints, keys, rotate_key
from proxy.cli.audit_verify import verify
from proxy.cli.configuration import config_option, configured, json_option
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.output import show_json
from proxy.cli.times import clock_time

ENTRIES_DEFAULT: Final = 20
ENTRIES_MAX: Final = 10_000
#: Of what is not about a call; all of it is in the JSON.
DATA_CHARACTERS_MAX: Final = 120
#: With --follow: how often it is looked for more.
LOOK_EVERY_S: Final = 0.5


@click.group()
def command() -> None:
    """Read, export and verify the journal: every decision and every movement of money."""


for _command in (export, verify, keys, checkpoints, rotate_key):
    command.add_command(_command)


@command.command()
@click.option(
    "-n", "count", type=click.IntRange(1, ENTRIES_MAX), default=ENTRIES_DEFAULT, show_default=True
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new entries, until Ctrl-C.")
@config_option
@json_option
def tail(*, count: int, follow: bool, config: Path | None, as_json: bool) -> None:
    """Print the latest entries; with --json one object on each line."""

    async def work(access: LedgerAccess) -> None:
        entries = await latest(access.ledger, count)
        _show(entries, as_json=as_json)
        last = entries[-1].id if entries else "-"
        while follow:
            entries = await access.ledger.journal(after=last)
            _show(entries, as_json=as_json)
            last = entries[-1].id if entries else last
            if not entries:
                await asyncio.sleep(LOOK_EVERY_S)

    with_ledger(configured(config), work)


def _show(entries: Sequence[Entry], *, as_json: bool) -> None:
    for entry in entries:
        if as_json:
            show_json(entry_row(entry))
        else:
            click.echo(entry_line(entry))


def entry_row(entry: Entry) -> dict[str, Any]:
    """Return an entry for programs."""
    return {
        "id": entry.id,
        "kind": entry.kind,
        "call_id": entry.call_id or None,
        "at_ms": entry.at_ms,
        "data": json.loads(entry.data),
        "movements": [
            {
                "counter": move.counter,
                "unit": move.unit,
                "spent_change": move.spent_change,
                "reserved_change": move.reserved_change,
                "spent": move.spent,
                "reserved": move.reserved,
                "overrun": move.overrun,
            }
            for move in entry.movements
        ],
    }


def entry_line(entry: Entry) -> str:
    """Return an entry as one line for people: when, what, which call, and what moved."""
    moves = []
    for move in entry.movements:
        name = move.counter.partition(":")[0]
        parts = [
            f"{label} {'+' if change > 0 else ''}{amount_text(move.unit, change)}"
            for label, change in (
                ("spent", move.spent_change),
                ("reserved", move.reserved_change),
            )
            if change
        ]
        moves.append(f"{name} {', '.join(parts)}" if parts else name)
    at = click.style(clock_time(entry.at_ms), dim=True)
    said = "; ".join(moves) if entry.call_id else textwrap.shorten(entry.data, DATA_CHARACTERS_MAX)
    return f"{at}  {entry.kind:<16} {entry.call_id:<31} {said}".rstrip()
