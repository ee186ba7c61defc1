"""One export as a process of its own, so that its memory can be told from everybody else's.

    python -m bench.exported_archive FOLDER [--url URL] [--format csv]

Prints JSON: rows, bytes, seconds, and the most memory that the process ever had.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from bench.archived_calls import END_MS, ORGANIZATION
from proxy.archive.database import open_database
from proxy.archive.export.question import Format, Question
from proxy.archive.export.stream import chunks
from proxy.archive.filters import CallFilter
from proxy.archive_settings import ArchiveSettings
from proxy.cli.audit_export import read_in_small_pieces


def main() -> None:
    """Export everything to nowhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--format", type=Format, default=Format.CSV)
    arguments = parser.parse_args()
    database = open_database(ArchiveSettings(url=arguments.url), arguments.folder)
    read_in_small_pieces(database)
    question = Question(format=arguments.format, calls=CallFilter(teams=None))
    begin, written, rows = time.perf_counter(), 0, 0
    for chunk in chunks(database, ORGANIZATION, question, exported_ms=END_MS + 1):
        written += len(chunk.data)
        rows = chunk.mark.rows
    database.close()
    # The kernel's `getrusage` counts what the process that started this one had.
    status = Path("/proc/self/status").read_text()
    memory_mb = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    seconds = time.perf_counter() - begin
    told = {"rows": rows, "bytes": written, "seconds": seconds, "memory_mb": memory_mb}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
