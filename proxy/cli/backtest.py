"""`bursar backtest`: what other policies would have done to past calls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from policies.clock import rfc3339
from policies.units import USD, amount_text, policy_text
from proxy.cli.configuration import Configuration, config_option, configured, json_option
from proxy.cli.moments import MOMENT
from proxy.cli.output import console, note, show_json, table
from proxy.cli.times import clock_time

if TYPE_CHECKING:
    from policies.rulebook import Rulebook
    from proxy.archive.backtest.candidate import Line, Outlook
    from proxy.archive.backtest.in_force import Reproduction
    from proxy.archive.backtest.past import Read
    from proxy.archive.backtest.run import Asked
    from proxy.archive.database import Database

IN_FORCE: Final = "in-force"
FAILED: Final = 1
#: As `Rulebook.version` is written.
_VERSION: Final = re.compile(r"[0-9a-f]{12}")
#: Why a call is refused, where it is not a budget.
_CAUSES: Final = {
    "team": "no such team",
    "member": "not a member",
    "model": "model not allowed",
    "price": "no price",
    "wallet": "the provider's own quota",
}


@click.command()
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="FILE|FOLDER|VERSION|in-force",
    help="The policy to try; files may be repeated, and a version is one that was in force once. "
    "Default: in-force, which decides as it was decided.",
)
@click.option("--since", "since_ms", type=MOMENT, help="From when on: 30d, a date or a time.")
@click.option("--until", "until_ms", type=MOMENT, help="Up to when, and not at that very moment.")
@config_option
@json_option
def command(
    *,
    policies: Sequence[str],
    since_ms: int | None,
    until_ms: int | None,
    config: Path | None,
    as_json: bool,
) -> int:
    """Decide archived calls again, under another policy: who would have been refused, and when.

    Under the policy that was in force every decision has to come out as it was recorded; if one does
    not, this exits with 1. Nothing is changed anywhere.
    """
    from proxy.archive.backtest.run import Asked

    if since_ms is not None and until_ms is not None and until_ms <= since_ms:
        raise click.UsageError("--until is not after --since: nothing lies between them")
    configuration = configured(config)
    asked = Asked(since_ms=since_ms, until_ms=until_ms)
    if not policies or tuple(policies) == (IN_FORCE,):
        return _reproduce(configuration, asked, as_json=as_json)
    if IN_FORCE in policies:
        raise click.UsageError("--policy in-force goes alone: it is no file")
    _look_ahead(configuration, policies, asked, as_json=as_json)
    return 0


def _candidate(
    database: Database, policies: Sequence[str], configuration: Configuration
) -> Rulebook:
    from policies.documents import load
    from proxy.archive.backtest.run import policy_of

    first = policies[0]
    if len(policies) == 1 and _VERSION.fullmatch(first) and not Path(first).exists():
        found = policy_of(database, configuration.rulebook.organization, first)
        if found is None:
            raise click.BadParameter(
                f"no policy of version {first} is in the archive", param_hint="'--policy'"
            )
        return found
    missing = [path for path in policies if not Path(path).exists()]
    if missing:
        raise click.BadParameter(f"'{missing[0]}' is not there", param_hint="'--policy'")
    return load([Path(path) for path in policies], configuration.environ)


# Under the policy that was in force…


def _reproduce(configuration: Configuration, asked: Asked, *, as_json: bool) -> int:
    from proxy.archive.backtest.run import reproduce
    from proxy.cli.archive_access import open_archive
    from proxy.cli.entry_progress import entry_progress

    organization = configuration.rulebook.organization
    with open_archive(configuration.settings) as database, entry_progress("deciding") as told:
        found, read = reproduce(database, organization, asked, told)
    if as_json:
        show_json(_reproduction_row(found, read))
    else:
        _show_reproduction(found, read)
    return FAILED if found.different else 0


def _reproduction_row(found: Reproduction, read: Read) -> dict[str, Any]:
    return {
        "policy": IN_FORCE,
        "entries": read.entries,
        "unreadable": read.unreadable,
        "decisions": found.decisions,
        "refusals": found.refusals,
        "different": found.different,
        "differences": [
            {
                "number": each.number,
                "call_id": each.call_id,
                "at": rfc3339(each.at_ms),
                "recorded": each.recorded,
                "decided": each.decided,
            }
            for each in found.told
        ],
        "unaccounted": found.unaccounted,
        "first_unaccounted": found.first_unaccounted,
        "without_checks": found.without_checks,
    }


def _show_reproduction(found: Reproduction, read: Read) -> None:
    same = found.decisions - found.different
    click.echo(
        f"{same:,} of {found.decisions:,} decisions come out as they were recorded, "
        f"{found.refusals:,} of them refusals"
    )
    for each in found.told:
        click.echo(
            f"entry {each.number} ({clock_time(each.at_ms)}, {each.call_id}): recorded {each.recorded}, "
            f"decided {each.decided}"
        )
    if found.different > len(found.told):
        click.echo(f"and {found.different - len(found.told):,} more")
    if found.unaccounted:
        note(
            f"{found.unaccounted:,} were decided on counters that had lost something, from entry "
            f"{found.first_unaccounted} on (Redis was emptied or put back): as the ledger stood, not as it "
            "should have"
        )
    _note_left_out(read, found.without_checks)


def _note_left_out(read: Read, without_checks: int = 0) -> None:
    if without_checks:
        note(
            f"{without_checks:,} decisions were recorded by an older version without what they looked at: "
            "they were left out"
        )
    if read.unreadable:
        note(f"{read.unreadable:,} entries of a newer version were left out")


# Under another one…


def _look_ahead(
    configuration: Configuration, policies: Sequence[str], asked: Asked, *, as_json: bool
) -> None:
    from proxy.archive.backtest.run import look_ahead
    from proxy.cli.archive_access import open_archive
    from proxy.cli.entry_progress import entry_progress

    organization = configuration.rulebook.organization
    with open_archive(configuration.settings) as database:
        rulebook = _candidate(database, policies, configuration)
        with entry_progress("deciding") as told:
            found, read = look_ahead(database, organization, rulebook, asked, told)
    if as_json:
        show_json(_outlook_row(found, read, rulebook))
    else:
        _show_outlook(found, read, rulebook)


def _outlook_row(found: Outlook, read: Read, rulebook: Rulebook) -> dict[str, Any]:
    from proxy.archive.backtest.candidate import ASSUMPTIONS

    return {
        "policy": rulebook.version,
        "entries": read.entries,
        "unreadable": read.unreadable,
        "calls": found.calls,
        "admitted": found.admitted,
        "refused": found.refused,
        "newly_refused": found.newly_refused,
        "newly_admitted": found.newly_admitted,
        "held_back": policy_text(USD, found.held_back_nano_usd),
        "admitted_more": policy_text(USD, found.admitted_nano_usd),
        "forced": found.forced,
        "unknown": found.unknown,
        "items": [_line_row(line) for line in _in_order(found)],
        "assumptions": list(ASSUMPTIONS),
    }


def _line_row(line: Line) -> dict[str, Any]:
    return {
        "cause": line.cause,
        "budget": line.budget if line.cause in ("budget", "price", "wallet") else None,
        "team": line.team,
        "refused": line.refused,
        "newly_refused": line.newly_refused,
        "first_refusal_at": None if line.first_ms is None else rfc3339(line.first_ms),
        "first_refusal_call": line.first_call,
        "held_back": policy_text(USD, line.held_back_nano_usd),
        "newly_admitted": line.newly_admitted,
        "admitted_more": policy_text(USD, line.admitted_nano_usd),
        "noticed": line.noticed,
    }


def _in_order(found: Outlook) -> list[Line]:
    """Return the lines, those that hold back most first."""
    return sorted(
        found.lines.values(),
        key=lambda line: (-line.held_back_nano_usd, -line.refused, line.budget, line.team),
    )


def _show_outlook(found: Outlook, read: Read, rulebook: Rulebook) -> None:
    from proxy.archive.backtest.candidate import ASSUMPTIONS

    lines = _in_order(found)
    if lines:
        headings = (
            "budget",
            "team",
            ">refused",
            ">of them new",
            "first refusal",
            ">held back",
            ">passing now",
            ">noticed",
        )
        console().print(table(headings, [_cells(line) for line in lines]))
    click.echo(
        f"{found.calls:,} calls under policy {rulebook.version}: {found.refused:,} refused, "
        f"{found.newly_refused:,} of which had passed, worth {amount_text(USD, found.held_back_nano_usd)}; "
        f"{found.newly_admitted:,} would pass that were refused, quoted at "
        f"{amount_text(USD, found.admitted_nano_usd)}"
    )
    note("Assumed:")
    for assumption in ASSUMPTIONS:
        note(f"- {assumption}")
    if found.unknown:
        note(f"{found.unknown:,} ends of calls that came in long before were left out")
    _note_left_out(read)


def _cells(line: Line) -> tuple[str, ...]:
    cause = _CAUSES.get(line.cause, "")
    name = f"{line.budget} ({cause})" if line.cause in ("price", "wallet") else cause or line.budget
    return (
        name,
        line.team,
        f"{line.refused:,}",
        f"{line.newly_refused:,}" if line.newly_refused else "",
        "" if line.first_ms is None else clock_time(line.first_ms),
        amount_text(USD, line.held_back_nano_usd) if line.newly_refused else "",
        f"{line.newly_admitted:,}" if line.newly_admitted else "",
        f"{line.noticed:,}" if line.noticed else "",
    )
