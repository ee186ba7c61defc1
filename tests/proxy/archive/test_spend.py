"""What calls came to, by any grouping: the sums are those of the calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.archive import calls, spend
from proxy.archive.database import Database
from proxy.archive.filters import BadFilter, CallFilter
from proxy.archive.lines import CallLine, SpendLine
from proxy.archive.spend import DAY_MS, GROUPINGS, day_text
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.lived_calls import DOLLAR, Lives

DAY = NOON_MS // DAY_MS
KEPT = (
    "calls",
    "refused",
    "receipted",
    "input_tokens",
    "output_tokens",
    "settled_nano_usd",
    "receipted_nano_usd",
    "charged_nano_usd",
)


def lines(
    database: Database,
    group_by: Sequence[str],
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    teams: frozenset[str] | None = None,
) -> tuple[SpendLine, ...]:
    with database.read() as connection:
        return spend.lines(
            connection, 1, group_by, since_ms=since_ms, until_ms=until_ms, teams=teams
        )


def some_days() -> Lives:
    lives = Lives()
    states = ("settled", "receipted", "refused", "expired", "released", "unreceipted")
    for index in range(72):
        lives.call(
            states[index % 6],
            at_ms=NOON_MS + index % 4 * DAY_MS,
            team=("red", "blue", "green")[index % 3],
            user=("alice", None)[index % 2],
            key=f"key_{index % 5}",
            provider=("sim", "venice")[index % 2],
            model=("acme/mini", "o/large", "o/mini")[index % 7 % 3],
            dollars=index % 9 + 1,
        )
    return lives


def added_up(
    found: Sequence[CallLine], group_by: Sequence[str]
) -> dict[tuple[str, ...], list[int]]:
    """The sums, made from the calls themselves."""
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * len(KEPT))
    for line in found:
        values = {
            "team": line.team,
            "user": line.user or "",
            "key": line.key_id,
            "provider": line.provider,
            "model": line.model,
            "day": day_text(line.at_ms // DAY_MS),
        }
        amounts = (
            line.state != "refused",
            line.state == "refused",
            line.state == "receipted",
            line.input_tokens,
            line.output_tokens,
            line.settled_nano_usd,
            line.receipted_nano_usd,
            line.charged_nano_usd,
        )
        row = sums[tuple(values[name] for name in group_by)]
        for place, amount in enumerate(amounts):
            row[place] += amount or 0
    return dict(sums)


def test_every_grouping_is_the_sum_of_its_calls(database: Database) -> None:
    archive_entries(database, "acme", some_days().entries)
    with database.read() as connection:
        page = calls.page(connection, 1, CallFilter(teams=None), before=None, count_max=1_000)
    by_key = {"user", "key"}

    for size in range(len(GROUPINGS) + 1):
        for group_by in combinations(GROUPINGS, size):
            if by_key & set(group_by) and {"provider", "model"} & set(group_by):
                with pytest.raises(BadFilter, match="not summed together"):
                    lines(database, group_by)
                continue
            found = {
                tuple(line.group[name] for name in group_by): line
                for line in lines(database, group_by)
            }
            expected = added_up(page.items, group_by)
            assert found.keys() == expected.keys()
            for key, sums in expected.items():
                for name, amount in zip(KEPT, sums, strict=True):
                    kept = getattr(found[key], name)
                    assert kept == amount or (kept is None and by_key & set(group_by))
                    assert kept is None or type(kept) is int


def test_by_day_and_then_most_charged_first(database: Database) -> None:
    archive_entries(database, "acme", some_days().entries)

    found = lines(database, ("model", "day"))

    order = [(line.group["day"], -line.charged_nano_usd) for line in found]
    assert order == sorted(order)
    assert list(found[0].group) == ["model", "day"]
    assert found[0].group["day"] == "2026-11-23"
    charged = [line.charged_nano_usd for line in lines(database, ("team",))]
    assert charged == sorted(charged, reverse=True)


def test_days_that_are_touched_count_as_a_whole(database: Database) -> None:
    lives = Lives()
    for day in range(4):
        lives.call(at_ms=NOON_MS + day * DAY_MS, dollars=10**day)
    archive_entries(database, "acme", lives.entries)

    def days(since_ms: int | None, until_ms: int | None) -> list[str]:
        found = lines(database, ("day",), since_ms=since_ms, until_ms=until_ms)
        return [line.group["day"] for line in found]

    midnight = (DAY + 1) * DAY_MS
    assert days(None, None) == ["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26"]
    assert days(midnight, midnight + 1) == ["2026-11-24"]
    assert days(midnight + DAY_MS - 1, midnight + DAY_MS) == ["2026-11-24"]
    assert days(midnight - 1, midnight + 1) == ["2026-11-23", "2026-11-24"]
    assert days(None, midnight) == ["2026-11-23"]
    assert days(2**62, None) == []
    assert days(None, 2**62) == days(None, None)


def test_teams_that_the_reader_may_not_see_are_in_no_sum(database: Database) -> None:
    lives = Lives()
    lives.call(team="red", dollars=1)
    lives.call(team="blue", dollars=2)
    archive_entries(database, "acme", lives.entries)

    [total] = lines(database, (), teams=frozenset({"blue"}))
    assert (total.calls, total.charged_nano_usd) == (1, 2 * DOLLAR)
    assert [line.group for line in lines(database, ("team",), teams=frozenset({"blue"}))] == [
        {"team": "blue"}
    ]
    assert lines(database, ("user",), teams=frozenset()) == ()
    assert lines(database, (), teams=frozenset()) == ()


def test_an_archive_without_calls_has_no_lines(database: Database) -> None:
    assert lines(database, ()) == ()
    assert lines(database, ("team", "day")) == ()


@pytest.mark.parametrize(
    ("group_by", "said"),
    [
        (("teams",), "'teams' is none: use some of team, user, key, provider, model, day"),
        (("team", "team"), "named twice"),
        (("user", "model"), "model and user are not summed together"),
    ],
)
def test_a_grouping_that_makes_no_sense(
    sqlite_archive: Database, group_by: tuple[str, ...], said: str
) -> None:
    with pytest.raises(BadFilter, match=said) as refused:
        lines(sqlite_archive, group_by)

    assert refused.value.field == "group_by"


def test_more_lines_than_anyone_reads(
    sqlite_archive: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive_entries(sqlite_archive, "acme", some_days().entries)
    monkeypatch.setattr(spend, "LINES_MAX", 2)

    with pytest.raises(BadFilter, match="more than 2 lines"):
        lines(sqlite_archive, ("team",))


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.integers(NOON_MS, NOON_MS + 4 * DAY_MS), group_by=st.sampled_from([(), ("team",)]))
def test_what_lies_before_and_after_midnight_is_everything(
    sqlite_archive: Database, cut: int, group_by: tuple[str, ...]
) -> None:
    if not lines(sqlite_archive, ()):
        archive_entries(sqlite_archive, "acme", some_days().entries)
    midnight = cut // DAY_MS * DAY_MS

    parts = (
        *lines(sqlite_archive, group_by, until_ms=midnight),
        *lines(sqlite_archive, group_by, since_ms=midnight),
    )

    for name in KEPT:
        whole: Any = sum(getattr(line, name) for line in lines(sqlite_archive, group_by))
        assert sum(getattr(line, name) for line in parts) == whole
