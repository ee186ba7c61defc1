"""Days without a call that fits are skipped, and no call is."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.archive import calls, scan
from proxy.archive.call_days import DAY_MS, call_days
from proxy.archive.database import Database
from proxy.archive.filters import CallFilter
from proxy.archive.lines import CallLine
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.lived_calls import Lives

DAYS = 40
CALLS = 400


def many_days(database: Database) -> None:
    """Ten calls a day, each team, user and model rarer than the one before."""
    chance = random.Random(5)
    lives = Lives()
    jitter = (0, 90_000, -30_000)
    for index in range(CALLS):
        lives.call(
            "refused" if index % 9 == 0 else "settled",
            at_ms=NOON_MS + index * DAYS * DAY_MS // CALLS + jitter[index % 3],
            team=f"team-{min(int(chance.expovariate(1)), 4)}",
            user=f"user-{min(int(chance.expovariate(0.7)), 7)}",
            key=f"key-{index % 11}",
            provider="sim" if index % 50 else "rare",
            model=f"m-{min(int(chance.expovariate(0.8)), 6)}",
        )
    archive_entries(database, "acme", lives.entries)


def pages_of(database: Database, wanted: CallFilter, count_max: int) -> list[list[CallLine]]:
    found: list[list[CallLine]] = []
    before: int | None = None
    for _ in range(1_000):
        with database.read() as connection:
            page = calls.page(connection, 1, wanted, before=before, count_max=count_max)
        found.append(list(page.items))
        if page.next is None:
            return found
        before = page.next
    pytest.fail("pages without end")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    look=st.integers(1, 30),
    count_max=st.integers(1, 20),
    asked=st.fixed_dictionaries(
        {
            "team": st.sampled_from([None, "team-0", "team-3", "team-4"]),
            "user": st.sampled_from([None, "user-0", "user-6", "nobody"]),
            "key_id": st.sampled_from([None, "key-3"]),
            "provider": st.sampled_from([None, "rare"]),
            "model": st.sampled_from([None, "m-5", "m-none"]),
            "state": st.sampled_from([None, "refused", "settled"]),
        }
    ),
    span=st.sampled_from([(None, None), (5, None), (3, 30), (None, 2)]),
)
def test_every_call_that_fits_comes_once(
    sqlite_archive: Database,
    monkeypatch: pytest.MonkeyPatch,
    look: int,
    count_max: int,
    asked: dict[str, str | None],
    span: tuple[int | None, int | None],
) -> None:
    monkeypatch.setattr(scan, "LOOKED_THROUGH_MAX", look)
    [everything] = pages_of(sqlite_archive, CallFilter(teams=None), 1_000)
    if not everything:
        many_days(sqlite_archive)
        [everything] = pages_of(sqlite_archive, CallFilter(teams=None), 1_000)
    since_ms, until_ms = (None if day is None else NOON_MS + day * DAY_MS for day in span)
    wanted = CallFilter(teams=None, since_ms=since_ms, until_ms=until_ms, **asked)

    found = [line for page in pages_of(sqlite_archive, wanted, count_max) for line in page]

    assert found == [
        line
        for line in everything
        if all(value in (None, getattr(line, name)) for name, value in asked.items())
        and (since_ms or 0) <= line.at_ms < (until_ms or 2**62)
    ]


def test_who_never_called_is_known_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "LOOKED_THROUGH_MAX", 5)
    many_days(database)

    for wanted in (
        CallFilter(teams=None, user="nobody"),
        CallFilter(teams=None, key_id="none", team="team-0"),
        CallFilter(teams=None, provider="none"),
        CallFilter(teams=None, team="team-0", model="none"),
    ):
        assert pages_of(database, wanted, 10) == [[]]


def test_whoever_called_long_ago_is_on_the_first_page(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "LOOKED_THROUGH_MAX", 20)
    lives = Lives()
    first = lives.call(user="rare", at_ms=NOON_MS)
    for index in range(300):
        lives.call(user="often", at_ms=NOON_MS + (index + 30) * DAY_MS // 10)
    archive_entries(database, "acme", lives.entries)

    pages = pages_of(database, CallFilter(teams=None, user="rare"), 10)

    assert [line.call_id for line in pages[0]] == [first]


def test_what_an_index_knows_needs_no_days() -> None:
    assert call_days(1, CallFilter(teams=None), None, None) is None
    assert call_days(1, CallFilter(teams=None, team="red"), ["red"], None) is None
    assert call_days(1, CallFilter(teams=None, model="m"), None, ["m"]) is None
    assert call_days(1, CallFilter(teams=None, user="alice"), None, None) is not None
    both = CallFilter(teams=None, team="red", model="m")
    assert call_days(1, both, ["red"], ["m"]) is not None


def test_calls_around_midnight_whose_clocks_differ(
    sqlite_archive: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call of yesterday comes behind one of today, and one of today before one of yesterday."""
    monkeypatch.setattr(scan, "LOOKED_THROUGH_MAX", 1)
    lives = Lives()
    midnight = (NOON_MS // DAY_MS + 1) * DAY_MS
    offsets = (-100_000, 10_000, -90_000, 5_000, -1, 0, -60_000, 50_000, 110_000, -5_000)
    for day in range(3):
        for place, offset in enumerate(offsets):
            at_ms = midnight + day * DAY_MS + offset
            lives.call(user=f"user-{day}-{place}", at_ms=at_ms)
    archive_entries(sqlite_archive, "acme", lives.entries)
    everything = [x for page in pages_of(sqlite_archive, CallFilter(teams=None), 9) for x in page]

    for made in everything:
        wanted = CallFilter(teams=None, user=made.user)
        assert [line for page in pages_of(sqlite_archive, wanted, 1) for line in page] == [made]
