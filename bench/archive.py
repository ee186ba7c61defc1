"""How long readers wait for an archive of ten million calls, on SQLite and on Postgres.

    python -m bench.archive [--calls 10_000_000] [--runs 15] [--databases sqlite,postgresql] [--keep FOLDER]

Each question is asked through `ArchiveReader`, as the admin API and the dashboard ask it, several times and
each time of something else (another team, another place in the list), so that no answer is warm. What
counts is the median; 200 ms is the most that it may be. An export of all calls may not have more than 200 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.archived_calls import (
    DAY_MS,
    DAYS,
    EACH_TEAM,
    END_MS,
    ENTRIES_A_CALL,
    MODELS,
    ORGANIZATION,
    START_MS,
    TEAMS,
    USERS_A_TEAM,
)
from bench.filled_archive import archive_settings, fill, size_gb
from policies.ledger.keys import counter_name
from policies.windows import Calendar
from proxy.archive.database import open_database
from proxy.archive.filters import AuditFilter, CallFilter
from proxy.archive.reader import ArchiveReader
from proxy.archive.spend import Grouping

MEDIAN_MS_MAX = 200
EXPORT_MB_MAX = 200
PAGE = 50
MONTH_MS = 30 * DAY_MS

CALLS = partial(CallFilter, teams=None)
Question = Callable[[int], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was measured for one question."""

    database: str
    question: str
    median_ms: float
    slowest_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What an export took."""

    database: str
    format: str
    rows: int
    bytes: int
    seconds: float
    #: The most that its process ever had.
    memory_mb: float


class Questions:
    """What readers ask; each takes the number of the run."""

    def __init__(self, reader: ArchiveReader, calls: int, entries_of: int) -> None:
        self.reader = reader
        self.head = calls * ENTRIES_A_CALL
        self.chance = random.Random(7)
        self.entries_of = entries_of

    def all(self) -> dict[str, Question]:
        """Return the questions by what they are about."""
        return {
            "overview: every budget, and the month by team": self.overview,
            "budget: burn-down and spenders of a month": self.budget,
            **self.lists(),
            **self.sums(),
            **(self.journal() if self.entries_of else {}),
        }

    def lists(self) -> dict[str, Question]:
        return {
            "calls: the newest": lambda _: self.page(CALLS()),
            "calls: of a team": lambda run: self.page(CALLS(team=TEAMS[run % len(TEAMS)])),
            "calls: of a team, deep": lambda run: self.deep(CALLS(team=TEAMS[run % len(TEAMS)])),
            "calls: of a viewer's three teams": lambda run: self.page(
                CallFilter(teams=frozenset(TEAMS[run % 20 : run % 20 + 3]))
            ),
            "calls: model glob": lambda _: self.page(CALLS(model="*/opus*")),
            "calls: model glob, deep": lambda _: self.deep(CALLS(model="*/opus*")),
            "calls: rarest model": lambda run: self.page(CALLS(model=MODELS[-1 - run % 3])),
            "calls: team and model, deep": lambda run: self.deep(
                CALLS(team=TEAMS[run % len(TEAMS)], model=MODELS[run % len(MODELS)])
            ),
            "calls: refused": lambda _: self.page(CALLS(state="refused")),
            "calls: refused of a small team": lambda run: self.page(
                CALLS(state="refused", team=TEAMS[-1 - run % 5])
            ),
            "calls: expired, deep": lambda _: self.deep(CALLS(state="expired")),
            "calls: of one user": lambda run: self.page(CALLS(user=f"user-{run}")),
            "calls: of a user who does not exist": lambda run: self.page(
                CALLS(user=f"nobody-{run}")
            ),
            "calls: of a day, a user and a team": self.of_a_day,
            "calls: of a week long ago": self.week_ago,
        }

    def sums(self) -> dict[str, Question]:
        return {
            "spend: team, model, day of a month": lambda run: self.spend(
                ("team", "model", "day"), self.month(run)
            ),
            "spend: team, model of the whole year": lambda _: self.spend(
                ("team", "model"), (None, None)
            ),
            "spend: team and user of a month": lambda run: self.spend(
                ("team", "user"), self.month(run)
            ),
            "spend: team, day of the whole year": lambda _: self.spend(
                ("team", "day"), (None, None)
            ),
        }

    def journal(self) -> dict[str, Question]:
        return {
            "one call's life": self.life,
            "audit: the newest": lambda _: self.audit(AuditFilter(teams=None)),
            "audit: of a kind": lambda _: self.audit(AuditFilter(teams=None, kind="receipt")),
            "audit: of an act": lambda _: self.audit(AuditFilter(teams=None, kind="key_created")),
            "audit: a viewer's teams": lambda run: self.audit(
                AuditFilter(teams=frozenset({TEAMS[run % len(TEAMS)]}))
            ),
        }

    async def overview(self, run: int) -> None:
        names = [_month_counter("company", run)]
        names += [_month_counter(f"{team}-month", run) for team in TEAMS]
        day = Calendar("day").span(END_MS - 1 - run * DAY_MS).id
        names += [counter_name(f"{team}-day", "USD", "", day) for team in TEAMS]
        names += [
            counter_name(f"{EACH_TEAM}-each", "USD", f"user-{user}", day)
            for user in range(USERS_A_TEAM)
        ]
        assert len(await self.reader.counters(names)) > len(TEAMS)
        assert await self.reader.burn_downs(names)
        await self.spend(("team", "day"), self.month(run))

    async def budget(self, run: int) -> None:
        name = _month_counter(f"{TEAMS[run % len(TEAMS)]}-month", run)
        assert await self.reader.burn_down(name)
        assert await self.reader.spenders(name)
        await self.reader.counters_of(f"{TEAMS[run % len(TEAMS)]}-month")

    async def page(self, wanted: CallFilter, before: int | None = None) -> None:
        await self.reader.calls(wanted, before=before, count_max=PAGE)

    async def deep(self, wanted: CallFilter) -> None:
        await self.page(wanted, before=self.chance.randrange(self.head))

    async def of_a_day(self, run: int) -> None:
        since = START_MS + run * 20 * DAY_MS
        await self.page(
            CALLS(
                since_ms=since,
                until_ms=since + DAY_MS,
                user=f"user-{run}",
                team=TEAMS[run % len(TEAMS)],
            )
        )

    async def week_ago(self, run: int) -> None:
        since = START_MS + run * 7 * DAY_MS
        await self.page(CALLS(since_ms=since, until_ms=since + 7 * DAY_MS))

    async def spend(
        self, group_by: Sequence[Grouping], span: tuple[int | None, int | None]
    ) -> None:
        since, until = span
        found = await self.reader.spend(group_by, since_ms=since, until_ms=until, teams=None)
        assert found

    def month(self, run: int) -> tuple[int, int]:
        until = END_MS - run * 20 * DAY_MS
        return until - MONTH_MS, until

    async def life(self, _: int) -> None:
        found = await self.reader.calls(
            CallFilter(teams=None),
            before=self.head - self.chance.randrange(self.entries_of),
            count_max=1,
        )
        life = await self.reader.call(found.items[0].call_id, teams=None)
        assert life is not None
        assert len(life.entries) == ENTRIES_A_CALL

    async def audit(self, wanted: AuditFilter) -> None:
        await self.reader.audit(wanted, before=None, count_max=PAGE)


def _month_counter(budget: str, run: int) -> str:
    month = Calendar("month").span(START_MS + (DAYS - 1 - run * 20 % DAYS) * DAY_MS).id
    return counter_name(budget, "USD", "", month)


async def measure(reader: ArchiveReader, arguments: argparse.Namespace, kind: str) -> list[Answer]:
    """Ask everything, in turns."""
    questions = Questions(reader, arguments.calls, arguments.entries).all()
    took: dict[str, list[float]] = {name: [] for name in questions}
    for run in range(arguments.runs):
        for name, question in questions.items():
            begin = time.perf_counter()
            await question(run)
            took[name].append((time.perf_counter() - begin) * 1000)
    return [
        Answer(kind, name, statistics.median(times), max(times)) for name, times in took.items()
    ]


def run(
    arguments: argparse.Namespace, kind: str, console: Console
) -> tuple[list[Answer], list[Export]]:
    """Fill one database, ask it everything, and throw it away (or find it filled, and keep it)."""
    with ExitStack() as stack:
        if arguments.keep:
            folder = arguments.keep / f"{kind}-{arguments.calls}"
            folder.mkdir(parents=True, exist_ok=True)
        else:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="bursar-bench-")))
        settings = stack.enter_context(archive_settings(kind, folder))
        database = stack.enter_context(closing(open_database(settings, folder)))
        reader = ArchiveReader(database, ORGANIZATION)
        if not asyncio.run(reader.head()).number:
            seconds = fill(database, arguments.calls, arguments.entries)
            console.print(f"{kind}: filled in {seconds:.0f} s, {size_gb(folder):.1f} GB")
        answers = asyncio.run(measure(reader, arguments, kind))
        report(answers, console)
        exports = [exported(kind, folder, settings.url, form) for form in arguments.exports]
        for export in exports:
            console.print(
                f"{kind}, export as {export.format}: {export.rows:,} rows, "
                f"{export.bytes / 1e9:.1f} GB in {export.seconds:.0f} s, {export.memory_mb:.0f} MB"
            )
        return answers, exports


def exported(kind: str, folder: Path, url: str | None, form: str) -> Export:
    """Export everything, in a process of its own."""
    where = ["--url", url] if url else []
    done = subprocess.run(
        [sys.executable, "-m", "bench.exported_archive", str(folder), "--format", form, *where],
        check=True,
        capture_output=True,
    )
    return Export(database=kind, format=form, **json.loads(done.stdout))


def report(answers: list[Answer], console: Console) -> None:
    """Print a line for each question."""
    table = Table(answers[0].database, "median, ms", "slowest, ms")
    for answer in answers:
        slow = "red" if answer.median_ms > MEDIAN_MS_MAX else ""
        times = (f"{answer.median_ms:.1f}", f"{answer.slowest_ms:.1f}")
        table.add_row(answer.question, *times, style=slow)
    console.print(table)


def main() -> None:
    """Measure, print, and fail when a median is too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--entries", type=int, default=20_000, help="calls that have entries too")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--exports", default=["csv", "parquet"], nargs="*")
    parser.add_argument("--keep", type=Path, help="fill archives there once, and leave them")
    parser.add_argument("--json", action="store_true", help="print JSON too, as the last line")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json, highlight=False)
    answers: list[Answer] = []
    exports: list[Export] = []
    for kind in arguments.databases.split(","):
        answered, exported_so = run(arguments, kind, console)
        answers += answered
        exports += exported_so
    if arguments.json:
        told = {"answers": [*map(asdict, answers)], "exports": [*map(asdict, exports)]}
        print(json.dumps(told))
    slow = any(answer.median_ms > MEDIAN_MS_MAX for answer in answers)
    sys.exit(slow or any(export.memory_mb > EXPORT_MB_MAX for export in exports))


if __name__ == "__main__":
    main()
