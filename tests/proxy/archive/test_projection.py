"""However entries are cut into batches, everything derived from them comes out the same."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.archive.chain import ChainedEntry
from proxy.archive.lives import Call
from proxy.archive.projection import Changes, calls_of, project
from proxy.archive.stream import StreamEntry
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.journal_rows import COUNTER, asked, check, entry, life, move, settled

DAY = NOON_MS // 86_400_000
HOUR = NOON_MS // 3_600_000
OTHER = "company:USD::2026-11"


class Derived:
    """What the database keeps, in dictionaries."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.counters: dict[str, tuple[Any, ...]] = {}
        self.booked: Counter[str] = Counter()
        self.sums: dict[str, dict[Any, list[int]]] = defaultdict(dict)

    def take(self, batch: Sequence[ChainedEntry]) -> Changes:
        wanted = calls_of(batch)
        known = {call_id: self.calls[call_id] for call_id in wanted if call_id in self.calls}
        before = {call_id: call.columns() for call_id, call in known.items()}
        changes = project(batch, known)
        assert before == {call_id: call.columns() for call_id, call in known.items()}
        self.calls |= changes.calls
        for counter, stand in changes.counters.items():
            self.counters[counter] = stand._replace(booked=0)
            self.booked[counter] += stand.booked
        for name in ("days", "keys", "hours", "spenders"):
            for key, amounts in getattr(changes, name).items():
                kept = self.sums[name].setdefault(key, [0] * len(amounts))
                kept[:] = [one + other for one, other in zip(kept, amounts, strict=True)]
        return changes

    def everything(self) -> Any:
        calls = {call_id: call.columns() for call_id, call in self.calls.items()}
        sums = {
            name: {key: amounts for key, amounts in kept.items() if any(amounts)}
            for name, kept in self.sums.items()
        }
        return calls, self.counters, +self.booked, sums


def numbered(entries: Sequence[StreamEntry]) -> list[ChainedEntry]:
    return [each.numbered(number) for number, each in enumerate(entries, start=1)]


def derived(*entries: StreamEntry) -> Derived:
    found = Derived()
    found.take(numbered(entries))
    return found


CALLS = st.sampled_from(["call_1", "call_2", "call_3", None])
COUNTERS = st.sampled_from([COUNTER, OTHER])
AMOUNTS = st.integers(-100, 100)
MOVES = st.lists(
    st.builds(
        lambda counter, spent, reserved: move(counter, spent=spent, reserved=reserved),
        COUNTERS,
        AMOUNTS,
        AMOUNTS,
    ),
    max_size=3,
)
CHECKS = st.none() | st.lists(
    st.builds(lambda counter, short: check(counter, short=short), COUNTERS, st.booleans()),
    max_size=3,
)
WHO = st.fixed_dictionaries(
    {}, optional={"team": st.sampled_from(["red", "blue"]), "user": st.sampled_from([None, "bob"])}
)
DATA = (
    st.builds(lambda who: asked(**who), WHO)
    | st.builds(settled, st.integers(0, 50))
    | st.sampled_from([[], {"nano_usd": "x"}, {"nano_usd": 7, "usage": {"input_tokens": 3}}])
)
KINDS = st.sampled_from(
    (
        *(
            "admitted",
            "admitted",
            "refused",
            "would_refuse",
            "settle",
            "release",
            "expire",
            "receipt",
        ),
        *("give_up", "restore", "key_created", "nobody_knows_it"),
    )
)
ENTRIES = st.lists(
    st.builds(
        lambda kind, call_id, data, moves, checks, at, version: entry(
            kind, call_id, data, moves, checks, at_ms=NOON_MS + at, version=version
        ),
        KINDS,
        CALLS,
        DATA,
        MOVES,
        CHECKS,
        st.integers(0, 10**9),
        st.sampled_from([1, 1, 1, 1, 1, 1, 1, 2]),
    ),
    min_size=10,
    max_size=40,
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(ENTRIES, st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_any_cut_into_batches_comes_to_the_same(
    entries: list[StreamEntry], sizes: list[int]
) -> None:
    whole, parts, sizes_again = numbered(entries), Derived(), cycle(sizes)

    rest = whole
    while rest:
        size = next(sizes_again)
        parts.take(rest[:size])
        rest = rest[size:]

    assert parts.everything() == derived(*entries).everything()


@given(ENTRIES)
def test_sums_are_those_of_the_calls(entries: list[StreamEntry]) -> None:
    found = derived(*entries)
    calls = found.calls.values()

    def total(name: str, at: int) -> int:
        return sum(amounts[at] for amounts in found.sums[name].values())

    assert total("days", 0) == total("keys", 0) == sum(c.state != "refused" for c in calls)
    assert total("days", 1) == total("keys", 1) == sum(c.state == "refused" for c in calls)
    assert total("days", 2) == sum(c.state == "receipted" for c in calls)
    assert total("days", 3) == sum(c.input_tokens or 0 for c in calls)
    assert total("days", 4) == sum(c.output_tokens or 0 for c in calls)
    assert total("days", 5) == sum(c.settled_nano_usd or 0 for c in calls)
    assert total("days", 6) == sum(c.receipted_nano_usd or 0 for c in calls)
    assert total("days", 7) == total("keys", 2) == sum(c.charged_nano_usd or 0 for c in calls)


@given(ENTRIES)
def test_what_counters_booked_is_what_was_spent_on_them(entries: list[StreamEntry]) -> None:
    found = derived(*entries)
    booked: Counter[str] = Counter()
    for each in numbered(entries):
        if each.version == 1 and each.kind != "restore":
            for counter, change in moves_of(each):
                booked[counter] += change

    assert nonzero(found.booked) == nonzero(booked)
    assert nonzero(by_counter(found.sums["hours"], 0)) == nonzero(booked)
    assert nonzero(by_counter(found.sums["spenders"], 2)) == nonzero(booked)


def moves_of(each: ChainedEntry) -> list[tuple[str, int]]:
    return [(row[0], row[2]) for row in json.loads(each.moves)]


def by_counter(sums: Mapping[Any, list[int]], at: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for key, amounts in sums.items():
        found[key[0]] += amounts[at]
    return found


def nonzero(sums: Counter[str]) -> dict[str, int]:
    return {key: amount for key, amount in sums.items() if amount}


def test_a_settled_call_is_in_every_sum() -> None:
    found = derived(*life(1), *life(2, nano_usd=4))

    assert found.sums["days"] == {(DAY, "red", "venice", "small"): [2, 0, 0, 20, 40, 7, 0, 7]}
    assert found.sums["keys"] == {(DAY, "red", "ann", "key_1"): [2, 0, 7]}
    assert found.sums["hours"] == {(COUNTER, HOUR): [7, 0]}
    assert found.sums["spenders"] == {(COUNTER, "red", "ann", "key_1", "small"): [2, 0, 7]}


def test_a_refusal_counts_against_the_budgets_that_refused() -> None:
    checks = [
        check(short=False),
        check(OTHER, short=True),
        check("w:USD::x", short=True, mode="warn"),
    ]

    found = derived(entry("refused", data=asked(), moves=[move(), move(OTHER)], checks=checks))

    assert found.sums["hours"] == {(OTHER, HOUR): [0, 1]}
    assert found.sums["spenders"] == {(OTHER, "red", "ann", "key_1", "small"): [0, 1, 0]}


def test_a_refusal_that_is_repeated_counts_once() -> None:
    refused = entry("refused", data=asked(), checks=[check(short=True)])

    found = derived(refused, refused)

    assert found.sums["hours"] == {(COUNTER, HOUR): [0, 1]}
    assert found.sums["keys"] == {(DAY, "red", "ann", "key_1"): [0, 1, 0]}


def test_a_call_that_redis_forgot_and_that_is_held_anew_is_one_call() -> None:
    admitted, settle = life(1)

    found = derived(admitted, settle, admitted, settle)

    assert found.sums["spenders"] == {(COUNTER, "red", "ann", "key_1", "small"): [1, 0, 6]}
    assert found.sums["keys"] == {(DAY, "red", "ann", "key_1"): [1, 0, 3]}


def test_counters_stand_as_their_last_entry_says() -> None:
    first = entry("settle", moves=[move(spent=3, after=(3, 9, 1))])
    second = entry("expire", moves=[move(spent=2, after=(5, 4, 2))], at_ms=NOON_MS + 1)

    changes = derived().take(numbered([first, second]))

    assert changes.counters == {COUNTER: ("USD", 5, 4, 2, 5, 2, NOON_MS + 1)}


def test_what_a_rebuild_puts_back_is_not_booked_again() -> None:
    found = derived(*life(1), entry("restore", None, moves=[move(spent=3, after=(3, 0, 0))]))

    assert found.sums["hours"] == {(COUNTER, HOUR): [3, 0]}
    assert found.booked == {COUNTER: 3}
    assert found.counters[COUNTER][1] == 3


def test_spending_of_a_call_that_nobody_knows_is_spent_by_nobody() -> None:
    found = derived(life(1)[1])

    assert found.calls == {}
    assert found.sums["spenders"] == {(COUNTER, "", "", "", ""): [0, 0, 3]}
    assert found.sums["days"] == {}


@pytest.mark.parametrize("version", [0, 2, -1, 30_000])
def test_nothing_is_made_of_another_version(version: int) -> None:
    changes = derived().take(
        numbered([entry("admitted", data=asked(), moves=[move(spent=1)], version=version)])
    )

    assert changes == Changes(newer=Counter({version: 1}))
    assert calls_of(numbered([entry("admitted", version=version)])) == ()
