"""What commands print: tables and JSON for readers on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

# In a pipe nobody sees the edge of a terminal: lines are not folded.
PIPE_COLUMNS: Final = 250


def show_json(document: Any) -> None:  # noqa: ANN401 - Whatever JSON can hold.
    """Print one line of JSON on stdout."""
    click.echo(json.dumps(document, ensure_ascii=False))


def note(text: str) -> None:
    """Print a line for people on stderr."""
    click.echo(text, err=True)


def console() -> Console:
    """Return stdout, with colours where it is a terminal."""
    return Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[RenderableType]]) -> Table:
    """Return rows below headings; a heading that begins with `>` is for numbers."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        numbers = column.startswith(">")
        shown.add_column(
            column.removeprefix(">"), justify="right" if numbers else "left", no_wrap=numbers
        )
    for row in rows:
        # Names are people's own: brackets in them are no markup.
        shown.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return shown


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show on a terminal that something takes its time; in a pipe, nothing."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield
        return
    with screen.status(text):
        yield
