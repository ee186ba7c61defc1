"""What `bursar ledger` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import click
from rich.text import Text

from policies.ledger.keys import counter_parts
from policies.units import amount_text, policy_text
from proxy.archive.compare import Compared, Comparison, Stand
from proxy.archive.rebuild import Rebuilt
from proxy.cli.output import console, note, table

_CALLS_SHOWN_MAX: Final = 10


class Done:
    """What several looks gave back, together."""

    def __init__(self) -> None:
        self.looks = 0
        self.counters = 0
        self.moved_on = 0
        self.without_ids = 0
        self.calls: Counter[str] = Counter()
        #: By counter: its unit, how it stood at first, and how it stands.
        self.raised: dict[str, tuple[str, int, int, int, int]] = {}
        self.undetermined: tuple[str, ...] = ()
        self.grants = 0
        #: The ledger has no key of a caller.
        self.without_keys = False

    def add(self, found: Rebuilt) -> None:
        """Add what one look gave back."""
        self.looks += 1
        self.counters = max(self.counters, found.counters)
        self.moved_on += found.moved_on
        self.without_ids += found.without_ids
        self.calls += found.calls
        self.undetermined = found.undetermined
        for each in found.raised:
            now = each.restored
            before = self.raised.get(each.counter, ("", now.spent_before, now.overrun_before, 0, 0))
            self.raised[each.counter] = each.unit, before[1], before[2], now.spent, now.overrun

    def row(self) -> dict[str, Any]:
        """Return it for programs, and for the journal."""
        return {
            "counters": self.counters,
            "raised": [
                {
                    "counter": counter,
                    "unit": unit,
                    "spent_before": policy_text(unit, spent_before),
                    "spent": policy_text(unit, spent),
                    "overrun_before": policy_text(unit, overrun_before),
                    "overrun": policy_text(unit, overrun),
                }
                for counter, (unit, spent_before, overrun_before, spent, overrun) in sorted(
                    self.raised.items()
                )
            ],
            "calls": dict(self.calls),
            "moved_on": self.moved_on,
            "grants": self.grants,
            "without_ids": self.without_ids,
            "undetermined": list(self.undetermined),
            "without_keys": self.without_keys,
        }


def compared_row(each: Compared) -> dict[str, Any]:
    """Return a counter for programs."""

    def stand(of: Stand) -> dict[str, str]:
        return {
            "spent": policy_text(each.unit, of.spent),
            "reserved": policy_text(each.unit, of.reserved),
            "overrun": policy_text(each.unit, of.overrun),
        }

    return {
        "counter": each.counter,
        "differs": each.differs,
        "archive": stand(each.archived),
        "ledger": stand(each.ledger),
    }


def show_comparison(found: Comparison, shown: Sequence[Compared]) -> None:
    """Print what was found; `shown`: the counters to list."""
    if shown:
        headings = ("budget", "for", "window", "", ">by the journal", ">in the ledger")
        console().print(table(headings, [row for each in shown for row in _compared_rows(each)]))
    for ids, said in ((found.lost, "lost, and in flight"), (found.ended, "ended, and held")):
        if ids:
            more = f" and {len(ids) - _CALLS_SHOWN_MAX} more" if len(ids) > _CALLS_SHOWN_MAX else ""
            click.echo(f"{said}: {', '.join(ids[:_CALLS_SHOWN_MAX])}{more}")
    _show_undetermined(found.undetermined)
    count = sum(each.differs for each in found.counters)
    entries = f"; {found.not_archived:,} entries are not archived yet" if found.not_archived else ""
    note(
        f"{count} of {len(found.counters)} counters differ, {found.in_flight} calls are in flight{entries}"
    )
    if found.differs:
        note(
            "`bursar ledger rebuild` raises what is below the archive; nothing lowers what is above it"
        )


def _compared_rows(each: Compared) -> list[tuple[Text | str, ...]]:
    name = _names(each.counter)
    rows: list[tuple[Text | str, ...]] = []
    for word in ("spent", "reserved", "overrun"):
        archived, ledger = getattr(each.archived, word), getattr(each.ledger, word)
        if archived == ledger and word != "spent":
            continue
        colour = "red" if ledger < archived else "yellow" if ledger > archived else ""
        shown = Text(amount_text(each.unit, ledger), style=colour)
        rows.append((*name, word, amount_text(each.unit, archived), shown))
        name = ("", "", "")
    return rows


def _names(counter: str) -> tuple[str, str, str]:
    budget, _, subject, window_id = counter_parts(counter)
    return budget, subject, window_id


def show_rebuilt(done: Done) -> None:
    """Print what was given back, and what cannot be."""
    if done.raised:
        headings = ("budget", "for", "window", ">spent before", ">spent", ">overrun")
        rows = [
            (
                *_names(counter),
                amount_text(unit, spent_before),
                amount_text(unit, spent),
                amount_text(unit, overrun) if overrun else "",
            )
            for counter, (unit, spent_before, _, spent, overrun) in sorted(done.raised.items())
        ]
        console().print(table(headings, rows))
    note(f"{len(done.raised)} of {done.counters} counters of open windows were raised")
    calls = ", ".join(f"{count} {state}" for state, count in sorted(done.calls.items()))
    if calls:
        note(f"put back: {calls} calls")
    if done.moved_on:
        note(f"{done.moved_on} calls were brought from an older state to what is archived")
    if done.grants:
        note(f"{done.grants} grants were put back")
    if done.without_ids:
        note(
            f"not brought back: ids that providers had told for up to {done.without_ids} calls before their "
            "answers ended; without an id a call stays at its reservation, unless its worker still ends it"
        )
    if done.without_keys:
        note(
            "not brought back: callers' keys, whose secrets nobody has; make new ones (bursar keys create)"
        )
    _show_undetermined(done.undetermined)


def _show_undetermined(names: tuple[str, ...]) -> None:
    if names:
        note(f"left alone, for nothing tells when their windows end: {', '.join(names)}")
