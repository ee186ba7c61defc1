"""`bursar ledger`: the ledger beside the archive, and giving it back what it lost."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from proxy.cli.configuration import config_option, configured, json_option
from proxy.cli.output import show_json

if TYPE_CHECKING:
    from policies.grants import Grant
    from proxy.archive.compare import Comparison
    from proxy.archive.rebuild import Sources
    from proxy.archive.work import ArchiveWork
    from proxy.cli.ledger_rows import Done

#: The kind of the journal's entry.
REBUILT: Final = "ledger_rebuilt"
DIFFERS: Final = 1
#: What calls book while a rebuild runs is raised by the next look.
LOOKS_MAX: Final = 3
#: The archive may be another replica's work, and hours behind.
FLUSH_S: Final = 600


class NothingDone(click.ClickException):
    """The command was ended before it changed anything."""


@click.group()
def command() -> None:
    """Compare the ledger with the archive, and give it back what it lost."""


@command.command()
@click.option("--all", "show_all", is_flag=True, help="Counters that agree, too.")
@config_option
@json_option
def compare(*, show_all: bool, config: Path | None, as_json: bool) -> int:
    """Show where counters of open windows and calls in flight are not as they were journalled.

    Entries that are not archived yet are counted as if they were. Touches nothing. Exits with 1 if anything
    differs.
    """
    from proxy.archive.compare import compare as compare_ledger
    from proxy.cli.entry_progress import entry_progress
    from proxy.cli.ledger_rows import compared_row, show_comparison
    from proxy.cli.ledger_sources import with_sources

    async def work(sources: Sources, _: ArchiveWork) -> Comparison:
        with entry_progress("comparing") as told:
            return await compare_ledger(sources, told)

    found = with_sources(configured(config), work)
    shown = [each for each in found.counters if show_all or each.differs]
    if as_json:
        show_json(
            {
                "differs": found.differs,
                "items": [compared_row(each) for each in shown],
                "in_flight": found.in_flight,
                "lost": list(found.lost),
                "ended": list(found.ended),
                "not_archived": found.not_archived,
                "undetermined": list(found.undetermined),
            }
        )
    else:
        show_comparison(found, shown)
    return DIFFERS if found.differs else 0


@command.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
def rebuild(*, yes: bool, config: Path | None, as_json: bool) -> None:
    """Raise the counters of open windows to what is archived, and put back calls that were lost.

    Nothing is ever lowered, and repeating it changes nothing: it may run while calls go on. What the journal
    has is archived first. Quotas that providers report are not rebuilt: they are asked for anew.
    """
    from proxy.cli.ledger_rows import show_rebuilt
    from proxy.cli.ledger_sources import with_sources

    configuration = configured(config)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody can be asked here: say --yes")
        if not click.confirm("Raise the ledger to what is archived?", err=True):
            raise NothingDone("nothing was changed")
    done = with_sources(configuration, _rebuild)
    if as_json:
        show_json(done.row())
    else:
        show_rebuilt(done)


# Rebuilding…


async def _rebuild(sources: Sources, archive: ArchiveWork) -> Done:
    from proxy.archive.rebuild import rebuild as rebuild_ledger
    from proxy.cli.entry_progress import entry_progress
    from proxy.cli.ledger_rows import Done
    from proxy.cli.operator import operator

    done, who = Done(), operator()
    try:
        for _ in range(LOOKS_MAX):
            await _flush(archive)
            with entry_progress("rebuilding") as told:
                found = await rebuild_ledger(sources, told)
            done.add(found)
            if not found.changed:
                break
        done.grants = await _restore_grants(sources)
        keys = await sources.commands.execute("HLEN", sources.keys.callers)
        done.without_keys = not int(keys)
        data = {"actor": who.actor, "from": who.origin, **done.row()}
        # A budget for each user may have raised thousands: the journal has an entry for each already.
        data["raised"] = len(done.raised)
        await sources.ledger.note(REBUILT, json.dumps(data, ensure_ascii=False))
    finally:
        await archive.close()
    return done


async def _flush(archive: ArchiveWork) -> None:
    try:
        await archive.flush(timeout_s=FLUSH_S)
    except TimeoutError:
        raise NothingDone(
            f"the journal was not archived within {FLUSH_S // 60} minutes, and an older state must not be "
            "rebuilt from: see to the archive, and try again"
        ) from None


async def _restore_grants(sources: Sources) -> int:
    """Put back grants that count now; return how many were lost."""
    import asyncio

    from proxy.grant_store import GrantStore

    now_ms = sources.ledger.now_ms
    found = await asyncio.to_thread(_grants, sources)
    store = GrantStore(sources.commands, sources.keys, now_ms)
    active = [grant for grant in found.values() if grant.is_active(now_ms())]
    return sum([await store.restore(grant) for grant in active])


def _grants(sources: Sources) -> Mapping[str, Grant]:
    """Return all grants that are archived, as they became."""
    from policies.grants import ENDED, MADE, from_journal
    from proxy.archive.backtest.past import acts_below

    found: dict[str, Grant] = {}
    numbers_max = 2**62
    for act in acts_below(sources.database, sources.organization, numbers_max, (MADE, ENDED)):
        try:
            grant = from_journal(json.loads(act.data))
        except (ValueError, KeyError, TypeError):
            continue
        found[grant.id] = grant
    return found
