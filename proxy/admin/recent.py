"""What the journal has and the archive has not yet: usually the last second.

Lists begin with it, so that whoever made a call or a key finds it there at once. The archive numbers
entries without a gap, in the journal's order: the number that an entry will have is known before the
archive has it, and one kind of cursor serves both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from policies.journal import Entry
from policies.ledger.interface import Ledger
from proxy.archive.filters import AuditFilter, CallFilter
from proxy.archive.reader import ArchiveReader

#: Half a second of a thousand calls in a second is 1,500 entries. When the archive is further behind
#: than this, lists end where it ends: alerts and the metric say that it is behind.
ENTRIES_MAX: Final = 5_000
_PAGE_ENTRIES: Final = 1_000
_FROM_THE_BEGINNING: Final = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """An entry of the journal, with the number that the archive will give it."""

    number: int
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """Where the archive ended, and what came behind that, in order."""

    archived: int
    entries: tuple[Numbered, ...] = ()

    def newest(self, before: int | None) -> list[Numbered]:
        """Return what is below a number (None: all), newest first."""
        return [each for each in reversed(self.entries) if before is None or each.number < before]

    def archive_before(self, before: int | None) -> int:
        """Return where a page of the archive begins, so that nothing is on a page twice."""
        end = self.archived + 1
        return end if before is None else min(before, end)

    def of_call(self, call_id: str) -> list[Numbered]:
        """Return what is about one call, in order."""
        return [each for each in self.entries if each.entry.call_id == call_id]


async def recent(ledger: Ledger, archive: ArchiveReader) -> Recent:
    """Return what is not archived yet; nothing, if that is more than can be shown.

    Raises:
        LedgerUnavailable: the ledger did not answer.
        ArchiveUnavailable: the archive did not answer.
    """
    page = await archive.audit(AuditFilter(teams=None), before=None, count_max=1)
    if page.items:
        archived, after = page.items[0].number, page.items[0].stream_id
    else:
        archived, after = (await archive.head()).number, _FROM_THE_BEGINNING
        if archived:
            # Retention has left no entry to go on from.
            return Recent(archived=archived)
    found: list[Entry] = []
    while entries := await ledger.journal(after=after, count_max=_PAGE_ENTRIES):
        found += entries
        after = entries[-1].id
        if len(found) > ENTRIES_MAX:
            return Recent(archived=archived)
    numbered = [
        Numbered(number=number, entry=entry) for number, entry in enumerate(found, archived + 1)
    ]
    return Recent(archived=archived, entries=tuple(numbered))


# --- The same filters as the archive's, on what it has not ---


def object_of(text: str) -> dict[str, Any]:
    """Return what a JSON text of the journal says; what nobody has written yet says nothing."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def fits_call(wanted: CallFilter, data: Mapping[str, Any], at_ms: int) -> bool:
    """Tell whether a call is wanted, by what was said when it came in; its state is not looked at."""
    model = data.get("model")
    return (
        (wanted.teams is None or data.get("team") in wanted.teams)
        and wanted.team in (None, data.get("team"))
        and wanted.user in (None, data.get("user"))
        and wanted.key_id in (None, data.get("key"))
        and wanted.provider in (None, data.get("provider"))
        and (wanted.model is None or (isinstance(model, str) and _named(model, wanted.model)))
        and _within(at_ms, wanted.since_ms, wanted.until_ms)
    )


def fits_entry(wanted: AuditFilter, entry: Entry) -> bool:
    """Tell whether an entry is wanted; whose call it is about is not looked at."""
    if (wanted.acts_only or wanted.actor is not None) and entry.call_id:
        return False
    return (
        wanted.kind in (None, entry.kind)
        and wanted.call_id in (None, entry.call_id)
        and _within(entry.at_ms, wanted.since_ms, wanted.until_ms)
        and (wanted.actor is None or object_of(entry.data).get("actor") == wanted.actor)
    )


async def of_teams(
    ledger: Ledger, entries: Sequence[Numbered], teams: frozenset[str]
) -> list[Numbered]:
    """Return the entries that are about calls of these teams; acts are about no team's call."""
    team_of: dict[str, str | None] = {}
    kept = []
    for each in entries:
        call_id = each.entry.call_id
        if not call_id:
            continue
        if call_id not in team_of:
            said = object_of(each.entry.data)
            if "team" not in said:
                record = await ledger.find(call_id)
                said = object_of(record.data) if record is not None else {}
            team_of[call_id] = said.get("team")
        if team_of[call_id] in teams:
            kept.append(each)
    return kept


def _named(model: str, wanted: str) -> bool:
    """Tell whether a model has a name, in which * alone is special."""
    if "*" not in wanted:
        return model == wanted
    return fnmatchcase(model, wanted.replace("[", "[[]").replace("?", "[?]"))


def _within(at_ms: int, since_ms: int | None, until_ms: int | None) -> bool:
    return (since_ms is None or at_ms >= since_ms) and (until_ms is None or at_ms < until_ms)
