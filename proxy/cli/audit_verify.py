"""`bursar audit verify`: whether the journal is as it was written, in the archive or in an exported file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from proxy.cli.configuration import config_option, configured, json_option
from proxy.cli.output import note, show_json

if TYPE_CHECKING:
    from proxy.archive.database import Database
    from proxy.archive.kept import Kept
    from proxy.archive.walk import Broken, Verified
    from proxy.archive.walk import Progress as Told

FAILED: Final = 1
#: A file of a public key; anything longer is none.
_KEY_CHARS_MAX: Final = 10_000


@click.command()
@click.option(
    "--file",
    "exported",
    type=click.Path(path_type=Path, dir_okay=False),
    help="An exported journal (JSONL, also gzipped) instead of the archive. Needs nothing else.",
)
@click.option(
    "--trusted-key",
    "trusted",
    multiple=True,
    metavar="HEX|FILE",
    help="A public key whose signatures count; no others do then. May be repeated.",
)
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Checkpoints kept elsewhere. Default with the archive: archive.checkpoint_file.",
)
@click.option("--organization", metavar="NAME", help="Whose journal it has to be.")
@config_option
@json_option
def verify(
    *,
    exported: Path | None,
    trusted: Sequence[str],
    checkpoints: Path | None,
    organization: str | None,
    config: Path | None,
    as_json: bool,
) -> int:
    """Walk along the chain of the journal and check every entry, hash and signature.

    Exits with 1 if anything is not as it was written, and names the first such entry.
    """
    pinned = tuple(_public_key(text) for text in trusted)
    if exported is not None:
        result, kept = _of_file(exported, organization, pinned, checkpoints)
    else:
        result, kept = _of_archive(config, organization, pinned, checkpoints)
    faults = kept.faults if kept is not None else ()
    if as_json:
        show_json({**result_row(result), "checkpoint_faults": list(faults)})
    else:
        for fault in faults:
            note(f"not believed: {fault}")
        for line in result_lines(result, vouched=bool(pinned) or kept is not None):
            click.echo(line)
    return 0 if result_row(result)["verified"] else FAILED


def _of_file(
    path: Path, organization: str | None, pinned: tuple[bytes, ...], checkpoints: Path | None
) -> tuple[Verified | Broken, Kept | None]:
    from proxy.archive.kept import read_kept
    from proxy.archive.verify_file import organization_of, verify_file

    whose = organization or organization_of(path)
    kept = None
    if checkpoints is not None and whose is not None:
        kept = read_kept(checkpoints, whose, pinned=pinned)
    with _progress(None) as told:
        result = verify_file(
            path, organization=organization, pinned=pinned, kept=_by_number(kept), progress=told
        )
    return result, kept


def _of_archive(
    config: Path | None,
    organization: str | None,
    pinned: tuple[bytes, ...],
    checkpoints: Path | None,
) -> tuple[Verified | Broken, Kept | None]:
    from proxy.archive.kept import NoCheckpoints, read_kept
    from proxy.archive.verify import verify_archive
    from proxy.cli.archive_access import open_archive
    from proxy.cli.audit_export import read_in_small_pieces

    configuration = configured(config)
    settings = configuration.settings
    whose = organization or configuration.rulebook.organization
    kept = None
    if checkpoints is not None:
        kept = read_kept(checkpoints, whose, pinned=pinned)
    elif settings.archive.checkpoint_file is not None:
        try:
            kept = read_kept(settings.archive.checkpoint_file, whose, pinned=pinned)
        except NoCheckpoints as fault:
            note(f"verified without checkpoints kept elsewhere: {fault}")
    with open_archive(settings) as database, _progress(_entries_of(database, whose)) as told:
        read_in_small_pieces(database)
        by_number = _by_number(kept)
        return verify_archive(database, whose, pinned=pinned, kept=by_number, progress=told), kept


def _entries_of(database: Database, organization: str) -> int:
    from proxy.archive.heads import head, organization_number

    with database.read() as connection:
        number = organization_number(connection, organization)
        return 0 if number is None else head(connection, number, organization).number


def _by_number(kept: Kept | None) -> Mapping[int, Any]:
    return {} if kept is None else kept.checkpoints


def _public_key(text: str) -> bytes:
    """Return a public key that is written out, or that stands in a file."""
    from proxy.archive.trust import NotAPublicKey, public_key

    path = Path(text)
    try:
        written = path.read_text() if path.is_file() else text
        return public_key(written[:_KEY_CHARS_MAX])
    except (NotAPublicKey, OSError, ValueError) as error:
        # ValueError: a file of bytes that are no text, or a name that no file can have.
        said = error if isinstance(error, NotAPublicKey) else "it cannot be read"
        raise click.BadParameter(
            f"'{text[:80]}' is no public key: {said}", param_hint="'--trusted-key'"
        ) from error


@contextmanager
def _progress(entries: int | None) -> Iterator[Told | None]:
    """Show on a terminal how far the walk is; `entries`: how many there are, if that is known."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield None
        return
    columns = (
        TextColumn("verifying"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen, transient=True) as shown:
        task = shown.add_task("", total=entries)
        yield lambda number: shown.update(task, completed=number)


# What it came to…


def result_row(result: Verified | Broken) -> dict[str, Any]:
    """Return what a walk came to, for programs."""
    from proxy.archive.walk import Broken

    if isinstance(result, Broken):
        return {
            "verified": False,
            "number": result.number,
            "what": result.what.value,
            "where": result.where,
            "said": result.said,
        }
    return {
        "verified": True,
        "organization": result.organization,
        "first": result.first,
        "last": result.last,
        "entries": result.entries,
        "last_hash": result.last_hash.hex(),
        "checkpoints": result.checkpoints,
        "keys": list(result.keys),
        "signed_to": result.signed_to,
        "unsigned_max": result.unsigned_max,
    }


def result_lines(result: Verified | Broken, *, vouched: bool) -> list[str]:
    """Return what a walk came to, for people.

    Args:
        result: what the walk found.
        vouched: somebody has said which keys or checkpoints count, who is not the journal itself.
    """
    from proxy.archive.walk import Broken

    if isinstance(result, Broken):
        place = "broken" if result.number is None else f"broken at entry {result.number}"
        what = result.what.value.replace("_", " ")
        first = click.style(f"{place}: {what}", fg="red", bold=True)
        return [f"{first} ({result.where})", result.said]
    if not result.entries:
        return [f"verified: the journal of '{result.organization}' has no entries"]
    whole = f"entries {result.first:,} to {result.last:,} of '{result.organization}'"
    found = [click.style("verified", fg="green", bold=True) + f": {whole} are as they were written"]
    if result.first > 1:
        found.append(f"entries before {result.first:,} are not here: dropped, or not asked for")
    if not result.checkpoints:
        found.append("nothing is signed: whoever can write everything anew is not found out")
        return found
    count = "1 checkpoint" if result.checkpoints == 1 else f"{result.checkpoints:,} checkpoints"
    found.append(
        f"{count}, signed by {', '.join(result.keys)}; the last one covers entry "
        f"{result.signed_to:,}, the longest stretch without one has {result.unsigned_max:,}"
    )
    if not vouched:
        found.append(
            "the keys are taken from the journal itself: name one that you know (--trusted-key), or "
            "checkpoints that were kept elsewhere (--checkpoints), to find out who signed it all anew"
        )
    return found
