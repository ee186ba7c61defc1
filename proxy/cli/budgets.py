"""`bursar budgets`: what is spent and what is left, and raises of a limit for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from policies.budgets import Budget
from policies.decisions import Standing
from policies.grants import Grants
from policies.money import EXACT_MAX, NANO_PER_UNIT
from policies.rulebook import Rulebook
from policies.units import USD, is_nano
from proxy.admin.budgets import all_standings, budget_row
from proxy.cli.configuration import config_option, configured, json_option
from proxy.cli.grants import end_grant, grant, grants, store_of
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.output import console, note, show_json, table
from proxy.cli.times import span, until

BAR_CHARACTERS: Final = 12
#: From these shares of a limit on, in percent, the bar is yellow, and red.
_WARNS_AT, _SHORT_AT = 80, 100
_CENT: Final = Decimal("0.01")
_SMALLEST: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class _Shown:
    """What there is to show."""

    standings: Sequence[Standing]
    grants: Grants
    now_ms: int


@click.group(invoke_without_command=True)
@config_option
@json_option
@click.pass_context
def command(context: click.Context, *, config: Path | None, as_json: bool) -> None:
    """Show what is spent and what is left, and grant more.

    A budget that counts for each user, key or the like has a row for each of them.
    """
    if context.invoked_subcommand is not None:
        if config is not None or as_json:
            raise click.UsageError(f"options stand behind '{context.invoked_subcommand}'")
        return
    configuration = configured(config)
    rulebook = configuration.rulebook

    async def work(access: LedgerAccess) -> _Shown:
        grants = Grants(await store_of(access).list())
        found = await all_standings(rulebook, access.ledger, grants=grants)
        return _Shown(found, grants, access.ledger.now_ms())

    shown = with_ledger(configuration, work)
    if as_json:
        rows = [budget_row(each, rulebook, shown.grants, shown.now_ms) for each in shown.standings]
        show_json({"items": [row.model_dump() for row in rows], "cursor": None})
        return
    _show(shown, rulebook)


command.add_command(grant)
command.add_command(grants)
command.add_command(end_grant)


def _show(shown: _Shown, rulebook: Rulebook) -> None:
    found, now_ms = shown.standings, shown.now_ms
    budgets = list(rulebook.budgets.values())
    if not budgets and not found:
        note("There is no budget yet: add one to the policies")
        return
    headings = ("budget", "for", "", ">spent", ">reserved", ">remaining", ">limit", "resets")
    rows = []
    for budget in budgets:
        own = [_row(each, now_ms, budget.limit) for each in found if each.budget == budget.name]
        rows += own or [_empty_row(budget)]
    others = [each for each in found if each.budget not in rulebook.budgets]
    rows += [_row(each, now_ms, each.limit) for each in others]
    console().print(table(headings, rows))


def _row(standing: Standing, now_ms: int, written: int) -> tuple[Text | str, ...]:
    """Return a row; `written`: the limit as the policies have it."""
    unit = standing.unit
    limit = limit_cell(unit, standing.limit)
    if granted := standing.limit - written:
        limit = f"{limit} (+{amount_cell(unit, granted)})"
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
        Text("none", style="dim") if unlimited else limit,
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
