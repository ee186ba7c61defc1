"""`bursar receipts`: what providers billed, and what they have not told yet."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from policies.units import USD
from proxy.admin.schemas import DriftRow, Money, ReceiptRun, ReceiptsRow
from proxy.cli.budgets import amount_cell
from proxy.cli.configuration import Configuration, config_option, configured, json_option
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.output import console, note, show_json, table
from proxy.cli.receipt_access import receipt_access
from proxy.cli.receipt_rows import ReceiptRows
from proxy.receipts.desk import Progress as SoFar
from proxy.settings import Settings
from proxy.telemetry.logs import make_log
from proxy.telemetry.metrics import Metrics

NO_PROVIDER: Final = (
    "No provider of this configuration tells what single calls were billed; "
    "agipower, venice, openrouter and vercel do"
)
#: What came of calls, in words and in this order.
_WORDS: Final = {
    "booked": "booked: these calls are at what was billed",
    "pending": "not billed yet: looked for again later",
    "set_aside": "set aside: what came does not add up (bursar receipts status)",
    "slow_down": "put off: the provider wants fewer requests",
    "given_up": "given up: no receipt in time, they stay at what was metered",
    "never": "without a receipt for good: they stay at what was metered",
    "gone": "over already",
}
_ASIDES_SHOWN_MAX: Final = 20
_GHOSTS_SHOWN_MAX: Final = 10
#: What is known of ghost spend and does not fit into a table.
_LONG_DETAILS: Final = frozenset({"items"})


@click.group()
def command() -> None:
    """Show and fetch what providers billed."""


@command.command()
@config_option
@json_option
def status(*, config: Path | None, as_json: bool) -> None:
    """Show which calls wait for a receipt, and by how much price lists are off.

    Metered and billed are those of calls whose usage the answer told exactly.
    """
    configuration = configured(config)

    async def work(access: LedgerAccess) -> Sequence[ReceiptsRow]:
        async with _receipts(configuration, access) as receipts:
            return await receipts.status()

    rows = with_ledger(configuration, work)
    if as_json:
        show_json({"items": [row.model_dump() for row in rows], "cursor": None})
        return
    if not rows:
        note(NO_PROVIDER)
        return
    _show_overview(rows)
    _show_drift(rows)
    _show_extra_usage(rows)
    _show_asides(rows)
    _show_ghosts(rows)


@command.command()
@config_option
@json_option
def run(*, config: Path | None, as_json: bool) -> None:
    """Look for all receipts that are due now.

    A proxy that runs does so by itself; both at once do no harm.
    """
    configuration = configured(config)

    async def work(access: LedgerAccess) -> tuple[Mapping[str, int], Sequence[ReceiptsRow]]:
        with _progress(configuration.settings) as shown:
            async with _receipts(configuration, access) as receipts:
                shown.begin(await receipts.status())
                results = await receipts.run(shown.told)
                return results, await receipts.status()

    results, rows = with_ledger(configuration, work)
    if as_json:
        show_json(ReceiptRun(results=dict(results), finished=True).model_dump())
        return
    if not rows:
        note(NO_PROVIDER)
        return
    for word, count in _in_order(results):
        click.echo(f"{count:>6,}  {_WORDS.get(word, word)}")
    if not results:
        click.echo("Nothing was due.")
    for row in rows:
        if row.waiting:
            slowed = f", no requests until {row.slowed_until}" if row.slowed_until else ""
            click.echo(f"{row.provider}: {row.waiting:,} wait, {row.due:,} due now{slowed}")


@asynccontextmanager
async def _receipts(
    configuration: Configuration, access: LedgerAccess
) -> AsyncIterator[ReceiptRows]:
    settings = configuration.settings
    # What does not add up is logged once for each call, by whoever sees it first: by us, if need be.
    log = make_log(sys.stderr, level="warning", form=settings.log.format)
    async with AsyncExitStack() as held:
        try:
            receipts = await held.enter_async_context(
                receipt_access(
                    settings,
                    access,
                    lambda: configuration.rulebook,
                    Metrics(access.clock),
                    log,
                )
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        yield receipts


# Progress…


class _Shown:
    """Progress on a terminal: a bar for each provider."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._seen = 0

    def begin(self, rows: Sequence[ReceiptsRow]) -> None:
        """Show how many are due."""
        if self._progress is not None:
            for row in rows:
                self._bars[row.provider] = self._progress.add_task(row.provider, total=row.due)

    def told(self, provider: str, so_far: SoFar) -> None:
        """Show how many were looked for; the sum is that of all providers so far."""
        news, self._seen = so_far.calls - self._seen, so_far.calls
        if self._progress is not None and provider in self._bars:
            self._progress.advance(self._bars[provider], news)


@contextmanager
def _progress(settings: Settings) -> Iterator[_Shown]:
    screen = Console(stderr=True)
    if not screen.is_terminal or not settings.providers:
        yield _Shown(None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=screen, transient=True) as progress:
        yield _Shown(progress)


def _in_order(results: Mapping[str, int]) -> list[tuple[str, int]]:
    order = {word: position for position, word in enumerate(_WORDS)}
    known = sorted(results.items(), key=lambda item: order.get(item[0], len(order)))
    return [(word, count) for word, count in known if count]


# Tables…


def _show_overview(rows: Sequence[ReceiptsRow]) -> None:
    headings = (
        "provider",
        ">waiting",
        ">due now",
        "slowed until",
        f">receipted, {rows[0].days} days",
        ">given up",
        ">never",
        ">set aside",
        ">ghost calls",
        ">ghost spend",
    )
    console().print(table(headings, [_overview_row(row) for row in rows]))
    for row in rows:
        if row.never is not None:
            click.echo(f"{row.provider}: {row.never}")


def _overview_row(row: ReceiptsRow) -> tuple[Text | str, ...]:
    ghosts = row.ghost_spend
    return (
        row.provider,
        f"{row.waiting:,}",
        f"{row.due:,}",
        row.slowed_until or "",
        f"{row.receipted:,}",
        _count(row.given_up, "yellow"),
        _count(row.never_comes, ""),
        _count(len(row.set_aside), "red"),
        _count(ghosts.calls, "yellow"),
        _dollars(ghosts.amount) if ghosts.calls or ghosts.amount.nano_usd else "",
    )


def _show_drift(rows: Sequence[ReceiptsRow]) -> None:
    found = [(row.provider, day) for row in rows for day in row.drift]
    if not found:
        return
    headings = (
        "day",
        "provider",
        "model",
        ">receipted",
        ">without",
        ">metered",
        ">billed",
        ">difference",
        ">%",
    )
    found.sort(key=lambda each: (each[0], each[1].model))
    found.sort(key=lambda each: each[1].day, reverse=True)
    click.echo()
    console().print(table(headings, [_drift_row(provider, day) for provider, day in found]))


def _drift_row(provider: str, day: DriftRow) -> tuple[Text | str, ...]:
    percent = day.difference_percent
    return (
        day.day,
        provider,
        day.model,
        f"{day.receipted:,}",
        f"{day.without_receipt_percent:g}%",
        _dollars(day.metered) if day.compared else "",
        _dollars(day.billed) if day.compared else "",
        _dollars(day.difference) if day.compared else "",
        "" if percent is None else f"{percent:+.1f}%",
    )


def _show_asides(rows: Sequence[ReceiptsRow]) -> None:
    asides = [(row.provider, aside) for row in rows for aside in row.set_aside]
    if not asides:
        return
    shown = [(provider, each.call_id, each.reason) for provider, each in asides]
    click.echo()
    console().print(table(("provider", "set aside", "why"), shown[:_ASIDES_SHOWN_MAX]))
    _say_more(len(shown) - _ASIDES_SHOWN_MAX)


def _show_extra_usage(rows: Sequence[ReceiptsRow]) -> None:
    shown = [
        (each.day, row.provider, each.model, f"{each.calls:,}", _dollars(each.amount))
        for row in rows
        for each in row.extra_usage
    ]
    if shown:
        click.echo()
        headings = ("day", "provider", "billed beside the subscription", ">calls", ">amount")
        console().print(table(headings, shown))


def _show_ghosts(rows: Sequence[ReceiptsRow]) -> None:
    ghosts = [(row.provider, ghost) for row in rows for ghost in row.ghost_spend.items]
    if not ghosts:
        return
    ghosts.sort(key=lambda each: each[1].at, reverse=True)
    shown = [
        (
            ghost.at,
            provider,
            ghost.call_id,
            f"{ghost.calls:,}",
            _dollars(ghost.amount),
            ", ".join(
                f"{name} {said}"
                for name, said in ghost.detail.items()
                if said and name not in _LONG_DETAILS
            ),
        )
        for provider, ghost in ghosts
    ]
    headings = ("billed at", "provider", "no call of ours", ">calls", ">amount", "what is known")
    click.echo()
    console().print(table(headings, shown[:_GHOSTS_SHOWN_MAX]))
    _say_more(len(shown) - _GHOSTS_SHOWN_MAX)


def _say_more(count: int) -> None:
    if count > 0:
        click.echo(f"… and {count:,} more: --json has them")


def _count(count: int, style: str) -> Text | str:
    return Text(f"{count:,}", style=style) if count else ""


def _dollars(money: Money) -> str:
    nano_usd = money.nano_usd
    return amount_cell(USD, nano_usd) if nano_usd >= 0 else f"-{amount_cell(USD, -nano_usd)}"
