"""`bursar budgets grant`, `grants` and `end-grant`: raises of a budget's limit for a while."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
from rich.text import Text

from policies.grants import Grant, NoSuchBudget, grantable, wish
from policies.units import amount_text
from proxy.admin.grant_rows import grant_row
from proxy.admin.schemas import GrantRow
from proxy.cli.configuration import config_option, configured, json_option
from proxy.cli.keys import Duration
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.operator import operator
from proxy.cli.output import console, note, show_json, table
from proxy.cli.times import clock_time, until
from proxy.grant_store import GrantStore

_COLOURS: Final = {"active": "green", "expired": "yellow", "ended": "red"}


def store_of(access: LedgerAccess) -> GrantStore:
    """Return where a ledger's grants are kept."""
    return GrantStore(access.commands, access.ledger.keys, access.ledger.now_ms)


@click.command()
@click.argument("name")
@click.argument("amount")
@click.option("--for", "for_ms", type=Duration(), required=True, metavar="3d", help="How long.")
@click.option("--reason", required=True, help="Why; it stands in the journal.")
@click.option("--subject", help="Whose counter, where the budget keeps one for each of something.")
@click.option("--all", "all_subjects", is_flag=True, help="Each of its counters.")
@click.option(
    "--once", metavar="KEY", help="Given again with the same KEY, it makes no second one."
)
@config_option
@json_option
def grant(  # noqa: PLR0913 - One for each option.
    *,
    name: str,
    amount: str,
    for_ms: int,
    reason: str,
    subject: str | None,
    all_subjects: bool,
    once: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Raise a budget's limit for a while, such as by '50 USD'. The grant's id is printed."""
    configuration = configured(config)
    try:
        budget = grantable(configuration.rulebook, name)
        wanted = wish(
            budget,
            amount=amount,
            for_ms=for_ms,
            reason=reason,
            subject=subject,
            all_subjects=all_subjects,
        )
    except (NoSuchBudget, ValueError) as error:
        raise click.UsageError(str(error)) from error

    async def work(access: LedgerAccess) -> tuple[Grant, int, bool]:
        made, _ = await store_of(access).make(wanted, operator(), once=once)
        known = subject is None or subject in await access.ledger.subjects(budget)
        return made, access.ledger.now_ms(), known

    try:
        made, now_ms, known = with_ledger(configuration, work)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        show_json(grant_row(made, now_ms).model_dump())
        return
    whose = f" of {made.subject}" if made.subject else ""
    until_when = f"until {clock_time(made.expires_ms)} UTC"
    note(f"Budget {made.budget}{whose}: {amount_text(made.unit, made.amount)} more {until_when}")
    if not known:
        note(f"No call of '{subject}' was counted in this window yet: see that the name is right")
    click.echo(made.id)


@click.command()
@click.argument("name", required=False)
@click.option("--all", "also_over", is_flag=True, help="Those that are over, too.")
@config_option
@json_option
def grants(*, name: str | None, also_over: bool, config: Path | None, as_json: bool) -> None:
    """List grants, of one budget or of all, the newest first."""

    async def work(access: LedgerAccess) -> tuple[list[Grant], int]:
        found = [each for each in await store_of(access).list() if name in (None, each.budget)]
        now_ms = access.ledger.now_ms()
        return [each for each in found if also_over or each.is_active(now_ms)], now_ms

    found, now_ms = with_ledger(configured(config), work)
    rows = [grant_row(each, now_ms) for each in found]
    if as_json:
        show_json({"items": [row.model_dump() for row in rows], "cursor": None})
        return
    if not rows:
        note("Nothing is granted now: bursar budgets grant NAME '50 USD' --for 3d --reason …")
        return
    headings = ("id", "state", "budget", "for", ">amount", "ends", "who", "reason")
    cells = [_cells(each, row, now_ms) for each, row in zip(found, rows, strict=True)]
    console().print(table(headings, cells))


@click.command(name="end-grant")
@click.argument("grant_id", metavar="ID")
@config_option
@json_option
def end_grant(*, grant_id: str, config: Path | None, as_json: bool) -> None:
    """End a grant before its time, within a second."""

    async def work(access: LedgerAccess) -> tuple[Grant, int]:
        return await store_of(access).end(grant_id, operator()), access.ledger.now_ms()

    ended, now_ms = with_ledger(configured(config), work)
    row = grant_row(ended, now_ms)
    if as_json:
        show_json(row.model_dump())
    elif row.state == "expired":
        note(f"{ended.id} was over at {row.expires_at} already")
    else:
        note(f"Ended {ended.id} of budget {ended.budget}")


def _cells(made: Grant, row: GrantRow, now_ms: int) -> tuple[Text | str, ...]:
    ends = until(made.expires_ms, now_ms) if row.state == "active" else clock_time(made.over_ms)
    return (
        made.id,
        Text(row.state, style=_COLOURS[row.state]),
        made.budget,
        made.subject or "",
        amount_text(made.unit, made.amount),
        ends,
        made.actor,
        made.reason,
    )
