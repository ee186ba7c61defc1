"""`bursar audit keys`, `checkpoints` and `rotate-key`: what proves the journal to others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from proxy.cli.configuration import Configuration, config_option, configured, json_option
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.operator import operator
from proxy.cli.output import console, show_json, table
from proxy.cli.times import clock_time

if TYPE_CHECKING:
    from proxy.archive.database import Database

Result = TypeVar("Result")

#: The journal's kind for it.
ROTATED: Final = "signing_key_rotated"
_NUMBER_MAX: Final = 2**63 - 1


@click.command()
@config_option
@json_option
def keys(*, config: Path | None, as_json: bool) -> None:
    """List the public keys that have signed checkpoints; give them to whoever verifies."""
    from proxy.archive.export.rows import public_keys

    found = _with_archive(configured(config), public_keys)
    if as_json:
        rows = [
            {"id": key.id, "public_key": key.public_key.hex(), "created_ms": key.created_ms}
            for key in found
        ]
        show_json(rows)
        return
    if not found:
        click.echo("no checkpoint was signed yet")
        return
    rows_shown = [(key.id, clock_time(key.created_ms), key.public_key.hex()) for key in found]
    console().print(table(("key", "first used", "public key"), rows_shown))


@click.command()
@click.option("--after", type=click.IntRange(0), default=0, help="Behind the entry of this number.")
@config_option
def checkpoints(*, after: int, config: Path | None) -> None:
    """Print the signed checkpoints, to be kept where nobody can change both them and the archive.

    `bursar audit verify --checkpoints FILE` reads them. The proxy does the same by itself when
    `archive.checkpoint_file` names a file.
    """
    from proxy.archive.export.lines import checkpoint_line, key_line
    from proxy.archive.export.rows import checkpoints_within, public_keys
    from proxy.archive.heads import organization_number
    from proxy.archive.scan import Span

    configuration = configured(config)

    def show(database: Database) -> None:
        with database.read() as connection:
            number = organization_number(connection, configuration.rulebook.organization)
        if number is None:
            return
        told = set[str]()
        known = {key.id: key for key in public_keys(database)}
        for checkpoint in checkpoints_within(database, number, Span(after + 1, _NUMBER_MAX)):
            if checkpoint.key_id not in told and checkpoint.key_id in known:
                click.echo(key_line(known[checkpoint.key_id]), nl=False)
            told.add(checkpoint.key_id)
            click.echo(checkpoint_line(checkpoint), nl=False)

    _with_archive(configuration, show)


@click.command(name="rotate-key")
@config_option
@json_option
def rotate_key(*, config: Path | None, as_json: bool) -> None:
    """Put a new signing key in the place of the old one; what that has signed stays valid.

    The old key signs the new one, and the journal says so.
    """
    from proxy.archive.signing import KEY_FILE, rotate

    configuration = configured(config)

    async def work(access: LedgerAccess) -> dict[str, str]:
        # Only with a ledger that answers: a key must not change without an entry about it.
        await access.commands.execute("PING")
        rotated = rotate(configuration.settings.data_dir / KEY_FILE)
        who = operator()
        said = {
            "old": rotated.old.id,
            "new": rotated.new.id,
            "public_key": rotated.new.public_key.hex(),
            "endorsement": rotated.endorsement.hex(),
        }
        data = {"actor": who.actor, "from": who.origin, **said}
        await access.ledger.note(ROTATED, json.dumps(data, ensure_ascii=False))
        return said

    said = with_ledger(configuration, work)
    if as_json:
        show_json(said)
        return
    click.echo(f"key {said['old']} is replaced by {said['new']}")
    click.echo(f"its public key: {said['public_key']}")


def _with_archive(configuration: Configuration, work: Callable[[Database], Result]) -> Result:
    from proxy.cli.archive_access import open_archive

    with open_archive(configuration.settings) as database:
        return work(database)
