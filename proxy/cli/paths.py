"""Paths as people would write them where they are."""

from __future__ import annotations

from pathlib import Path


def shortened(path: Path) -> str:
    """Return a path relative to the working directory, if it is below it."""
    here, whole = Path.cwd(), path.absolute()
    return f"./{whole.relative_to(here)}" if whole.is_relative_to(here) else str(path)
