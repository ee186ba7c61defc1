"""`bursar audit export`: the journal, or its calls, as a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from policies.clock import SystemClock
from policies.errors import BursarError
from proxy.archive.export.question import Format, Question
from proxy.archive.filters import CALL_STATES, BadFilter, CallFilter
from proxy.cli.configuration import Configuration, config_option, configured, json_option
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.moments import MOMENT
from proxy.cli.operator import operator
from proxy.cli.output import note, show_json

if TYPE_CHECKING:
    from hashlib import _Hash

    from proxy.archive.database import Database
    from proxy.archive.export.file import Progress as Told
    from proxy.archive.export.mark import Chunk, Mark

#: The journal's kind for it.
EXPORTED: Final = "exported"
STDOUT: Final = "-"


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice([each.value for each in Format]),
    default=Format.JSONL.value,
    show_default=True,
    help="jsonl: the journal with its chain. The others: a row for each call.",
)
@click.option("--since", "since_ms", type=MOMENT, help="30d, 2026-11-23 or 2026-11-23T13:00:00Z.")
@click.option("--until", "until_ms", type=MOMENT, help="As --since; what is before it.")
@click.option("--team")
@click.option("--user")
@click.option("--key", "key_id", help="A key's id.")
@click.option("--provider")
@click.option("--model", help="Exact, or with * for any characters.")
@click.option("--state", type=click.Choice(CALL_STATES))
@click.option("--kind", "kinds", multiple=True, help="Of jsonl: entries of this kind. Repeatable.")
@click.option(
    "--output",
    required=True,
    metavar="FILE",
    help="It is FILE.partial until it is whole. -: standard output.",
)
@click.option("--resume", is_flag=True, help="Go on with FILE.partial.")
@config_option
@json_option
def export(
    *,
    form: str,
    kinds: Sequence[str],
    output: str,
    resume: bool,
    config: Path | None,
    as_json: bool,
    **asked: str | int | None,
) -> None:
    """Write the journal, or its calls, to a file.

    A journal by time alone can be verified without this program's archive (`bursar audit verify
    --file`). With other filters entries are left out, and it cannot.
    """
    try:
        question = Question(
            format=Format(form),
            calls=CallFilter(teams=None, **asked),  # type: ignore[arg-type]  # Click has made them so.
            kinds=tuple(kinds),
        )
    except BadFilter as error:
        raise click.UsageError(f"--{error.field.replace('_', '-')}: {error.text}") from error
    if output == STDOUT and resume:
        raise click.UsageError("--resume goes on with a file: name one with --output")
    configuration = configured(config)
    # Before a byte is out: nobody takes away what no entry says that they took.
    with_ledger(configuration, partial(_note_it, question=question, output=output, resume=resume))
    mark = _export(configuration, question, output, resume=resume)
    things = "entries" if question.format is Format.JSONL else "rows"
    if as_json and output != STDOUT:
        show_json({"file": output, "format": form, things: mark.rows, "last": mark.high - 1})
    else:
        note(f"{mark.rows:,} {things} written to {output}")


async def _note_it(access: LedgerAccess, *, question: Question, output: str, resume: bool) -> None:
    who = operator()
    data = {
        "actor": who.actor,
        "from": who.origin,
        **question.document(),
        "output": output,
        "resumed": resume,
    }
    await access.ledger.note(EXPORTED, json.dumps(data, ensure_ascii=False))


def _export(configuration: Configuration, question: Question, output: str, *, resume: bool) -> Mark:
    from proxy.archive.export.file import ExportFile
    from proxy.archive.export.stream import chunks
    from proxy.cli.archive_access import open_archive

    organization = configuration.rulebook.organization
    now_ms = SystemClock().now_ms()
    with open_archive(configuration.settings) as database:
        read_in_small_pieces(database)
        if output == STDOUT:
            return _to_stdout(database, organization, question, now_ms)

        def source(mark: Mark | None, digest: _Hash | None) -> Iterator[Chunk]:
            return chunks(
                database, organization, question, exported_ms=now_ms, mark=mark, digest=digest
            )

        file = ExportFile(Path(output), organization, question)
        try:
            with _progress() as told:
                return file.write(source, resume=resume, progress=told)
        except KeyboardInterrupt:
            note(f"interrupted: {file.partial} is not whole; --resume goes on with it")
            raise


def read_in_small_pieces(database: Database) -> None:
    """Keep little of SQLite's file in memory: it is read once, from the first row to the last."""
    from sqlalchemy import event

    def small(connection: Any, _: object) -> None:  # noqa: ANN401 - The driver's own.
        connection.execute("PRAGMA cache_size=-4096")

    if database.dialect == "sqlite":
        database.engine.dispose()
        event.listen(database.engine, "connect", small)


def _to_stdout(database: Database, organization: str, question: Question, now_ms: int) -> Mark:
    from proxy.archive.export.stream import chunks

    mark = None
    for chunk in chunks(database, organization, question, exported_ms=now_ms):
        sys.stdout.buffer.write(chunk.data)
        mark = chunk.mark
    sys.stdout.buffer.flush()
    if mark is None:
        raise BursarError("the export gave nothing, not even a beginning")
    return mark


@contextmanager
def _progress() -> Iterator[Told | None]:
    """Show on a terminal how far an export is."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield None
        return
    columns = (
        TextColumn("exporting"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen, transient=True) as shown:
        task = shown.add_task("", total=None, rows=0)

        def told(mark: Mark) -> None:
            shown.update(
                task, total=mark.high - mark.low, completed=mark.done - mark.low + 1, rows=mark.rows
            )

        yield told
