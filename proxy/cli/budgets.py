"""`bursar budgets`: what is spent and what is left."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from policies.budgets import Budget
from policies.decisions import Standing
from policies.money import EXACT_MAX, NANO_PER_UNIT
from policies.units import USD, is_nano
from proxy.admin.budgets import all_standings
from proxy.cli.configuration import config_option, configured, json_option
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.output import console, note, show_json, table
from proxy.cli.times import span, until
from proxy.standing_rows import standing_row

BAR_CHARACTERS: Final = 12
#: From these shares of a limit on, in percent, the bar is yellow, and red.
_WARNS_AT, _SHORT_AT = 80, 100
_CENT: Final = Decimal("0.01")
_SMALLEST: Final = Decimal("0.0001")


@click.command()
@config_option
@json_option
def command(*, config: Path | None, as_json: bool) -> None:
    """Show what is spent and what is left.

    A budget that counts for each user, key or the like has a row for each of them.
    """
    configuration = configured(config)
    rulebook = configuration.rulebook

    async def work(access: LedgerAccess) -> tuple[Sequence[Standing], int]:
        return await all_standings(rulebook, access.ledger), access.ledger.now_ms()

    found, now_ms = with_ledger(configuration, work)
    if as_json:
        show_json({"items": [standing_row(standing) for standing in found], "cursor": None})
        return
    budgets = list(rulebook.budgets.values())
    if not budgets and not found:
        note("There is no budget yet: add one to the policies")
        return
    headings = ("budget", "for", "", ">spent", ">reserved", ">remaining", ">limit", "resets")
    rows = []
    for budget in budgets:
        own = [_row(each, now_ms) for each in found if each.budget == budget.name]
        rows += own or [_empty_row(budget)]
    rows += [_row(each, now_ms) for each in found if each.budget not in rulebook.budgets]
    console().print(table(headings, rows))


def _row(standing: Standing, now_ms: int) -> tuple[Text | str, ...]:
    unit = standing.unit
    mode = "" if standing.mode == "enforce" else f" ({standing.mode})"
    # What belongs to nobody is counted without a limit, unless policies set one.
    unlimited = standing.limit >= EXACT_MAX
    return (
        f"{standing.budget}{mode}",
        standing.subject,
        "" if unlimited else _bar(standing),
        amount_cell(unit, standing.spent),
        amount_cell(unit, standing.reserved) if standing.reserved else "",
        "" if unlimited else amount_cell(unit, standing.remaining, rounding=ROUND_FLOOR),
        Text("none", style="dim") if unlimited else limit_cell(unit, standing.limit),
        _reset(standing, now_ms),
    )


def _empty_row(budget: Budget) -> tuple[Text | str, ...]:
    each = (budget.each or "").removeprefix("tag:")
    limit = limit_cell(budget.unit, budget.limit)
    return (budget.name, Text(f"no {each} yet", style="dim"), "", "", "", "", limit, "")


def _reset(standing: Standing, now_ms: int) -> str:
    kind, _, length_ms = standing.window.partition("-")
    if kind == "rolling" and length_ms.isdecimal():
        return f"rolls, {span(int(length_ms))}"
    return until(standing.end_ms, now_ms)


def _bar(standing: Standing) -> Text:
    """Return how full a budget is; what is only reserved is drawn lighter."""
    limit, counted = max(standing.limit, 1), standing.spent + standing.reserved
    spent, filled = (
        min(-(-amount * BAR_CHARACTERS // limit), BAR_CHARACTERS)
        for amount in (standing.spent, counted)
    )
    percent = counted * 100 // limit
    colour = "red" if percent >= _SHORT_AT else "yellow" if percent >= _WARNS_AT else "green"
    return Text.assemble(
        ("█" * spent, colour),
        ("▒" * (filled - spent), colour),
        ("·" * (BAR_CHARACTERS - filled), "dim"),
    )


def amount_cell(unit: str, amount: int, *, rounding: str = ROUND_CEILING) -> str:
    """Return an amount for a column of a table: money to the cent, and further where it is small.

    What it is an amount of, the limit says in the same row.
    """
    if not is_nano(unit):
        return f"{amount:,}"
    places = _CENT if amount >= NANO_PER_UNIT or not amount else _SMALLEST
    text = f"{(Decimal(amount) / NANO_PER_UNIT).quantize(places, rounding):,}"
    return f"${text}" if unit == USD else text


def limit_cell(unit: str, limit: int) -> str:
    """Return a limit with its unit."""
    return amount_cell(unit, limit) if unit == USD else f"{amount_cell(unit, limit)} {unit}"
