"""Bills beside calls: never more than the true ghosts on the way, and exactly those in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.receipts.unexplained import (
    BILLED_WITHIN_MIN,
    MINUTES_PER_DAY,
    NOTHING,
    Comparison,
    Minutes,
    Sum,
    compare,
)

#: A day's first minute.
DAWN = 20_000 * MINUTES_PER_DAY
DAY = DAWN // MINUTES_PER_DAY
MIDNIGHT = DAWN + MINUTES_PER_DAY


def minutes(**sums: int) -> Minutes:
    """Sums by minutes after dawn, such as `m5=70`: one request each."""
    return Minutes({DAWN + int(name[1:]): Sum(nano_usd, 1) for name, nano_usd in sums.items()})


def compared(
    billed: Minutes,
    explained: Minutes,
    until: int,
    *,
    first: int = DAWN,
    carry: Sum = NOTHING,
    booked: Mapping[int, Sum] | None = None,
) -> list[Comparison]:
    return list(
        compare(
            billed,
            explained,
            first=first,
            until=until,
            ahead=1,
            carry=carry,
            booked=booked or {},
        )
    )


def test_what_no_call_explains_is_a_ghost() -> None:
    found = compared(minutes(m5=70, m9=30), minutes(m9=30), DAWN + 60)

    assert found == [Comparison(day=DAY, ghost=Sum(70, 1), carry=None)]


def test_what_was_booked_is_not_booked_again() -> None:
    billed = minutes(m5=70, m9=30)

    found = compared(billed, minutes(), DAWN + 60, booked={DAY: Sum(70, 1)})

    assert found[0].ghost == Sum(30, 1)


def test_a_call_that_is_billed_after_the_end_explains_nothing_yet_and_hides_less_later() -> None:
    billed, explained = minutes(m5=70, m80=50), minutes(m50=50)

    assert compared(billed, explained, DAWN + 60)[0].ghost == Sum(20, 0)
    assert compared(billed, explained, DAWN + 90)[0].ghost == Sum(70, 1)


def test_a_call_that_seems_to_come_just_after_its_row_is_no_ghost() -> None:
    assert compared(minutes(m59=50), minutes(m60=50), DAWN + 60)[0].ghost == NOTHING


def test_a_minute_that_is_not_compared_yet_is_left_out() -> None:
    assert compared(minutes(m60=50), minutes(), DAWN + 60)[0].ghost == NOTHING


def test_a_call_before_midnight_explains_a_row_after_it() -> None:
    found = compared(minutes(m1441=50), minutes(m1439=50), MIDNIGHT + 60)

    assert [each.ghost for each in found] == [NOTHING, NOTHING]
    assert found[0].carry == Sum(50, 1)


def test_a_row_before_midnight_is_explained_by_a_call_just_after_it() -> None:
    found = compared(minutes(m1439=50, m1500=7), minutes(m1440=50), MIDNIGHT + 90)

    assert [each.ghost for each in found] == [NOTHING, Sum(7, 1)]
    assert found[0].carry == Sum(-50, -1)


def test_a_day_that_counts_too_much_hides_no_ghosts_of_the_next() -> None:
    found = compared(minutes(m1500=70), minutes(m700=1_000), MIDNIGHT + 90)

    assert [each.ghost for each in found] == [NOTHING, Sum(70, 1)]
    assert found[0].carry == NOTHING


def test_what_the_first_day_owes_is_taken_into_account() -> None:
    assert compared(minutes(m5=70), minutes(), DAWN + 60, carry=Sum(50, 1))[0].ghost == Sum(20, 0)


def test_what_was_billed_before_the_beginning_is_no_ghost() -> None:
    assert compared(minutes(m5=70), minutes(), DAWN + 60, first=DAWN + 6)[0].ghost == NOTHING


@pytest.mark.parametrize("until", [DAWN - 100, DAWN])
def test_nothing_is_compared_before_the_beginning(until: int) -> None:
    assert compared(minutes(m5=70), minutes(), until) == []


def test_the_last_money_of_a_time_is_found() -> None:
    sums = Minutes({1: Sum(5, 1), 3: Sum(5, 1), 4: Sum(0, 1), 9: Sum(5, 1)})

    assert sums.last(0, 9) == 3
    assert sums.last(5, 9) is None


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Something that the provider billed: a call of ours, or a ghost."""

    nano_usd: int
    #: When it was reserved; of what went around the proxy, when it came.
    reserved: int
    #: When it was billed, and when the provider shows that.
    billed: int
    shown: int
    #: When it is known what it explains.
    decided: int
    explains: bool
    #: Whether it went through the proxy at all.
    is_call: bool = True


AHEAD = 3
#: Rows are shown within a day, receipts are given up within another one.
SLOWEST = MINUTES_PER_DAY - 10


@st.composite
def spendings(draw: st.DrawFn) -> Spent:
    # Many of them lie about midnight, where days are told apart.
    centre = draw(st.sampled_from([DAWN + 600, MIDNIGHT, MIDNIGHT + MINUTES_PER_DAY]))
    reserved = centre + draw(st.integers(-8, 8) | st.integers(-400, 400))
    is_call = draw(st.booleans())
    late = draw(st.integers(-AHEAD, 6) | st.integers(-AHEAD, BILLED_WITHIN_MIN))
    billed = max(DAWN, reserved + late) if is_call else reserved
    return Spent(
        nano_usd=draw(st.integers(1, 50)),
        reserved=reserved,
        billed=billed,
        shown=billed + draw(st.integers(0, 90) | st.integers(0, SLOWEST)),
        decided=max(reserved, billed) + draw(st.integers(0, 10) | st.integers(0, SLOWEST)),
        explains=is_call and draw(st.booleans()),
        is_call=is_call,
    )


@dataclass
class Watcher:
    """Compares again and again, as a replica does."""

    spent: list[Spent]
    day: int = DAY
    carry: Sum = NOTHING
    booked: dict[int, Sum] = field(default_factory=dict)
    total: Sum = NOTHING

    def poll(self, now: int, ghost_after: int) -> None:
        waiting = [s.reserved for s in self.spent if s.is_call and s.reserved <= now < s.decided]
        until = min([now - ghost_after, *(reserved - AHEAD for reserved in waiting)])
        first = max(DAWN, self.day * MINUTES_PER_DAY)
        if until <= first:
            return
        rows = [s for s in self.spent if s.billed <= now and s.shown <= now]
        receipts = [s for s in self.spent if s.explains and s.decided <= now]
        days = list(
            compare(
                by_minute({id(s): (s.billed, s) for s in rows}),
                by_minute({id(s): (s.reserved, s) for s in receipts}),
                first=first,
                until=until,
                ahead=AHEAD,
                carry=self.carry,
                booked=self.booked,
            )
        )
        for each in days:
            if each.ghost.nano_usd:
                self.booked[each.day] = self.booked.get(each.day, NOTHING) + each.ghost
                self.total += each.ghost
        carry = days[0].carry
        if carry is not None and now >= (self.day + 3) * MINUTES_PER_DAY:
            self.day, self.carry = self.day + 1, carry


def by_minute(found: dict[int, tuple[int, Spent]]) -> Minutes:
    sums: dict[int, Sum] = {}
    for minute, each in found.values():
        sums[minute] = sums.get(minute, NOTHING) + Sum(each.nano_usd, 1)
    return Minutes(sums)


@settings(max_examples=400)
@given(
    st.lists(spendings(), max_size=12),
    st.lists(st.integers(1, 600), max_size=25),
    st.sampled_from([0, 5, 60]),
)
def test_any_interleaving_ends_in_exactly_the_ghosts_and_never_passes_them(
    spent: list[Spent], pauses: list[int], ghost_after: int
) -> None:
    ghosts = [each for each in spent if not each.explains]
    watcher, now = Watcher(spent), DAWN

    for pause in pauses:
        now += pause
        watcher.poll(now, ghost_after)
        assert watcher.total.nano_usd <= sum(g.nano_usd for g in ghosts if g.billed < now)
    # All is quiet now; days are closed one by one.
    for day in range(4, 12):
        watcher.poll(DAWN + day * MINUTES_PER_DAY, ghost_after)

    assert watcher.total.nano_usd == sum(g.nano_usd for g in ghosts)
    assert watcher.total.calls <= len(ghosts)
    assert watcher.day > DAY + 2


@given(st.lists(spendings(), max_size=12), st.integers(1, 60))
def test_a_quiet_account_is_compared_once_for_all(spent: list[Spent], ghost_after: int) -> None:
    watcher, later = Watcher(spent), DAWN + 6 * MINUTES_PER_DAY
    watcher.poll(later, ghost_after)
    once = watcher.total

    watcher.poll(later + 1, ghost_after)

    assert watcher.total == once
    assert once.nano_usd == sum(each.nano_usd for each in spent if not each.explains)
