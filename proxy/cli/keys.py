"""`bursar keys`: who may call."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from policies.windows import parse_duration_ms
from proxy.admin.keys import check_owner, created_key, key_row
from proxy.admin.schemas import CreatedKey, KeyRow
from proxy.cli.configuration import config_option, configured, json_option
from proxy.cli.ledger_access import LedgerAccess, with_ledger
from proxy.cli.operator import operator
from proxy.cli.output import console, note, show_json, table
from proxy.keys import KeyRecord


class Duration(click.ParamType[int]):
    """A duration such as `90d`, in milliseconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return milliseconds."""
        if isinstance(value, int):
            return value
        try:
            return parse_duration_ms(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Tag(click.ParamType[tuple[str, str]]):
    """A tag such as `project=apollo`."""

    name = "k=v"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return name and value."""
        if isinstance(value, tuple):
            return value
        name, separator, tag = (part.strip() for part in str(value).partition("="))
        if not (name and separator and tag):
            self.fail(f"'{value}' is not a tag: write name=value", param, ctx)
        return name, tag


@click.group()
def command() -> None:
    """Create, list, rotate and revoke keys."""


@command.command()
@click.option("--team", required=True, help="Whose calls it makes.")
@click.option("--user", help="The only user whose calls it makes.")
@click.option("--name", help="What it is for.")
@click.option("--expires", type=Duration(), metavar="90d", help="How long it is good for.")
@click.option("--tag", "tags", type=Tag(), metavar="k=v", multiple=True, help="Can be repeated.")
@config_option
@json_option
def create(
    *,
    team: str,
    user: str | None,
    name: str | None,
    expires: int | None,
    tags: tuple[tuple[str, str], ...],
    config: Path | None,
    as_json: bool,
) -> None:
    """Create a key. Its secret is shown once, alone on standard output."""
    configuration = configured(config)
    try:
        check_owner(configuration.rulebook, team, user)
    except ValueError as error:
        raise click.UsageError(str(error)) from error

    who = operator()

    async def work(access: LedgerAccess) -> CreatedKey:
        now_ms = access.clock.now_ms()
        expires_ms = None if expires is None else now_ms + expires
        record, secret = await access.key_store.create(
            team, user, name, expires_ms, tags, actor=who.actor, origin=who.origin
        )
        return created_key(record, secret, now_ms)

    try:
        _show_secret(with_ledger(configuration, work), "Created", as_json=as_json)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


@command.command(name="list")
@config_option
@json_option
def list_keys(*, config: Path | None, as_json: bool) -> None:
    """List keys, those that ended lately too."""

    async def work(access: LedgerAccess) -> list[KeyRow]:
        now_ms = access.clock.now_ms()
        return [key_row(record, now_ms) for record in await access.key_store.list()]

    rows = with_ledger(configured(config), work)
    if as_json:
        show_json({"items": [row.model_dump() for row in rows], "cursor": None})
        return
    if not rows:
        note("There is no key yet: bursar keys create --team TEAM")
        return
    colours = {"active": "green", "expired": "yellow", "revoked": "red"}
    shown = [
        (
            row.id,
            Text(row.state, style=colours[row.state]),
            row.team,
            row.user or "",
            row.name or "",
            f"{row.prefix}…",
            ", ".join(f"{name}={tag}" for name, tag in row.tags.items()),
            (row.expires_at or "never")[:10],
        )
        for row in rows
    ]
    headings = ("id", "state", "team", "user", "name", "secret", "tags", "expires")
    console().print(table(headings, shown))


@command.command()
@click.argument("key_id", metavar="ID")
@click.option(
    "--grace",
    type=Duration(),
    default="24h",
    show_default=True,
    metavar="24h",
    help="How long the old secret still works.",
)
@config_option
@json_option
def rotate(*, key_id: str, grace: int, config: Path | None, as_json: bool) -> None:
    """Give a key a new secret, shown once."""
    who = operator()

    async def work(access: LedgerAccess) -> CreatedKey:
        record, secret = await access.key_store.rotate(
            key_id, grace, actor=who.actor, origin=who.origin
        )
        return created_key(record, secret, access.clock.now_ms())

    try:
        _show_secret(with_ledger(configured(config), work), "Rotated", as_json=as_json)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


@command.command()
@click.argument("key_id", metavar="ID")
@config_option
@json_option
def revoke(*, key_id: str, config: Path | None, as_json: bool) -> None:
    """End a key with all its secrets, for good, within a second."""
    who = operator()

    async def work(access: LedgerAccess) -> tuple[KeyRecord, int]:
        record = await access.key_store.revoke(key_id, actor=who.actor, origin=who.origin)
        return record, access.clock.now_ms()

    row = key_row(*with_ledger(configured(config), work))
    if as_json:
        show_json(row.model_dump())
    else:
        note(f"Revoked {row.id} of team {row.team}")


def _show_secret(key: CreatedKey, done: str, *, as_json: bool) -> None:
    if as_json:
        show_json(key.model_dump())
        return
    user = f", user {key.user}" if key.user else ""
    ends = f", good until {key.expires_at}" if key.expires_at else ""
    note(f"{done} {key.id} for team {key.team}{user}{ends}. The secret is shown this once:")
    click.echo(key.key)
