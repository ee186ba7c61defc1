"""`bursar calls`: which calls there were; `show` tells the whole life of one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import click
from rich.text import Text

from policies.units import USD, amount_text
from proxy.admin.calls import calls_page
from proxy.admin.schemas import CallRow
from proxy.archive.filters import CALL_STATES, PAGE_MAX, BadFilter, CallFilter
from proxy.archive.lines import Page
from proxy.cli.archive_access import Readers, with_readers
from proxy.cli.call_life import show
from proxy.cli.configuration import config_option, configured, json_option
from proxy.cli.moments import MOMENT
from proxy.cli.output import console, note, progress, show_json, table

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 100_000
#: With --follow: how often it is looked for more, and how many of the newest calls are looked at.
LOOK_EVERY_S: Final = 0.5
FOLLOWED: Final = 200
_COLOURS: Final = {
    "reserved": "cyan",
    "settled": "",
    "receipted": "green",
    "released": "dim",
    "expired": "yellow",
    "unreceipted": "yellow",
    "refused": "red",
}
_HEADINGS: Final = ("at", "call", "state", "team", "user", "model", ">tokens", ">cost")
#: The same for lines that come one by one: as wide as ids and times are, names by what is usual.
_LINE: Final = "{:<19}  {:<31}  {:<11}  {:<14}  {:<12}  {:<28}  {:>12}  {:>14}"

Ask = Callable[[int | None, int], Awaitable[Page[CallRow]]]


@click.group(invoke_without_command=True)
@click.option("--team")
@click.option("--user")
@click.option("--key", "key_id", help="A key's id.")
@click.option("--provider")
@click.option("--model", help="Exact, or with * for any characters.")
@click.option("--state", type=click.Choice(CALL_STATES))
@click.option("--since", "since_ms", type=MOMENT, help="30d, 2026-11-23 or 2026-11-23T13:00:00Z.")
@click.option("--until", "until_ms", type=MOMENT, help="As --since; what is before it.")
@click.option(
    "-n", "--limit", type=click.IntRange(1, LIMIT_MAX), default=LIMIT_DEFAULT, show_default=True
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new calls, until Ctrl-C.")
@config_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    limit: int,
    follow: bool,
    config: Path | None,
    as_json: bool,
    **asked: str | int | None,
) -> None:
    """List calls, newest first; with --follow the newest last, and again when their state changes."""
    if context.invoked_subcommand is not None:
        if config is not None or as_json or follow or any(asked.values()):
            raise click.UsageError(f"options stand behind '{context.invoked_subcommand}'")
        return
    try:
        wanted = CallFilter(teams=None, **asked)  # type: ignore[arg-type]  # Click has made them so.
    except BadFilter as error:
        raise click.UsageError(f"--{_option(error.field)}: {error.text}") from error

    async def work(readers: Readers) -> Sequence[CallRow]:
        async def ask(before: int | None, count_max: int) -> Page[CallRow]:
            return await calls_page(readers, wanted, before=before, count_max=count_max)

        if follow:
            await _follow(ask, min(limit, FOLLOWED), as_json=as_json)
        with progress("looking through the archive"):
            return await _newest(ask, limit)

    rows = with_readers(configured(config), work)
    if as_json:
        show_json({"items": [row.model_dump() for row in rows], "cursor": None})
        return
    if not rows:
        note("There is no such call")
        return
    console().print(table(_HEADINGS, [_cells(row) for row in rows]))


command.add_command(show)


def _option(field: str) -> str:
    return {"key_id": "key", "since_ms": "since", "until_ms": "until"}.get(field, field)


async def _newest(ask: Ask, count_max: int) -> list[CallRow]:
    """Return the newest calls; a page may have few of them and not be the last."""
    found: list[CallRow] = []
    before: int | None = None
    while len(found) < count_max:
        page = await ask(before, min(PAGE_MAX, count_max - len(found)))
        found += page.items
        if page.next is None:
            break
        before = page.next
    return found


async def _follow(ask: Ask, shown: int, *, as_json: bool) -> None:
    """Print the newest calls and those that come, and again what changes its state, until Ctrl-C."""
    states: dict[str, str] = {}
    rows = list((await ask(None, FOLLOWED)).items)
    fresh: Sequence[CallRow] = rows[:shown]
    while True:
        for row in reversed(fresh):
            _print_line(row, as_json=as_json)
        # What is not among the newest any more is not looked at again.
        states = dict([*states.items()][-FOLLOWED:]) | {row.id: row.state for row in rows}
        await asyncio.sleep(LOOK_EVERY_S)
        rows = list((await ask(None, FOLLOWED)).items)
        fresh = [row for row in rows if states.get(row.id) != row.state]


def _print_line(row: CallRow, *, as_json: bool) -> None:
    if as_json:
        show_json(row.model_dump())
        return
    cells = [str(cell) for cell in _cells(row)]
    console().print(Text(_LINE.format(*cells).rstrip(), style=_COLOURS.get(row.state, "")))


def _cells(row: CallRow) -> tuple[str | Text, ...]:
    tokens = sum(row.usage.values())
    return (
        row.at.replace("T", " ").removesuffix("Z"),
        row.id,
        Text(row.state, style=_COLOURS.get(row.state, "")),
        row.team or "",
        row.user or "",
        row.model or "",
        f"{tokens:,}" if tokens else "",
        _cost(row),
    )


def _cost(row: CallRow) -> str:
    """Return what is known to have been charged; of a call in flight, the most that it may be."""
    money = row.receipted or row.settled
    if money is not None:
        return amount_text(USD, money.nano_usd)
    if row.state in {"reserved", "expired"} and row.quoted is not None:
        return f"≤ {amount_text(USD, row.quoted.nano_usd)}"
    return ""
