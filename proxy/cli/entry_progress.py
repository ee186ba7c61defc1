"""How far commands are that go through the entries of the archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from proxy.archive.backtest.past import Told, nobody


@contextmanager
def entry_progress(text: str) -> Iterator[Told]:
    """Show on a terminal how many entries of how many were read; in a pipe, nothing."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield nobody
        return
    columns = (TextColumn(text), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as shown:
        task = shown.add_task("", total=None)
        yield lambda read, of: shown.update(task, completed=read, total=of)
