"""Pages of calls: whatever is asked for, each call that fits comes once, newest first."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.archive import calls, scan
from proxy.archive.database import Database
from proxy.archive.filters import BadFilter, CallFilter
from proxy.archive.lines import CallLine
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.lived_calls import DOLLAR, Lives

MINUTE_MS = 60_000
STATES = ("settled", "receipted", "refused", "expired", "released", "unreceipted", "reserved")
ODD_NAMES = (
    "it's",
    '"quoted"',
    "100%",
    "under_score",
    "<script>alert(1)</script>",
    "Größe 東京 🙂",
    "back\\slash",
    "[a-z]?",
    "x" * 200,
    "ü" * 200,
)


def filled(database: Database, lives: Lives) -> int:
    return archive_entries(database, "acme", lives.entries).organization_id


def all_of(
    database: Database, number: int, wanted: CallFilter, *, count_max: int = 3
) -> list[CallLine]:
    """Go through all pages; none may be longer than asked for."""
    found: list[CallLine] = []
    before: int | None = None
    for _ in range(1_000):
        with database.read() as connection:
            page = calls.page(connection, number, wanted, before=before, count_max=count_max)
        assert len(page.items) <= count_max
        found += page.items
        if page.next is None:
            return found
        assert before is None or page.next < before
        before = page.next
    pytest.fail("pages without end")


def fits(line: CallLine, wanted: CallFilter) -> bool:
    """What a filter means, said once more."""
    exact = all(
        getattr(wanted, name) in (None, getattr(line, name))
        for name in ("team", "user", "key_id", "provider", "state")
    )
    start, star, end = (wanted.model or "*").partition("*")
    model = (
        line.model.startswith(start) and line.model.endswith(end) if star else line.model == start
    )
    since, until = wanted.since_ms or 0, wanted.until_ms or 2**62
    return (
        exact
        and model
        and since <= line.at_ms < until
        and (wanted.teams is None or line.team in wanted.teams)
    )


def many(count: int) -> Lives:
    lives = Lives()
    kinds = list(product(STATES, ("red", "blue", "green"), ("acme/mini", "acme/large", "o/mini")))
    for index in range(count):
        state, team, model = kinds[index * 7 % len(kinds)]
        lives.call(
            state,
            at_ms=NOON_MS + index * MINUTE_MS,
            team=team,
            model=model,
            user=("alice", "bob", None)[index % 3],
            key=f"key_{index % 4}",
            provider=("sim", "venice")[index % 2],
        )
    return lives


def test_a_line_says_what_became_of_a_call(database: Database) -> None:
    lives = Lives()
    made = lives.call("receipted", dollars=3)
    number = filled(database, lives)

    [line] = all_of(database, number, CallFilter(teams=None))

    assert line.call_id == made
    assert (line.number, line.at_ms, line.state) == (1, NOON_MS, "receipted")
    assert (line.team, line.user, line.key_id) == ("red", "alice", "key_1")
    assert (line.provider, line.model, line.dialect) == ("sim", "acme/mini", "messages")
    assert line.streamed is True
    assert line.status == 200
    assert line.quoted_nano_usd == 6 * DOLLAR
    assert line.settled_nano_usd == 3 * DOLLAR
    assert line.receipted_nano_usd == line.charged_nano_usd == 3 * DOLLAR + DOLLAR // 10
    assert (line.input_tokens, line.output_tokens) == (20, 100)
    assert line.generation_id == "gen_1"


def test_every_filter_and_every_pair_of_filters(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small that pages end because enough was looked through, not because they are full.
    monkeypatch.setattr(scan, "LOOKED_THROUGH_MAX", 20)
    number = filled(database, many(90))
    everything = all_of(database, number, CallFilter(teams=None), count_max=1_000)
    assert len(everything) == 90
    middle = everything[40].at_ms
    values: dict[str, list[Any]] = {
        "team": ["red", "nobody"],
        "user": ["bob"],
        "key_id": ["key_3"],
        "provider": ["venice"],
        "model": ["acme/mini", "acme/*", "*/mini", "*", "none*"],
        "state": ["refused", "settled"],
        "since_ms": [middle],
        "until_ms": [middle + 30 * MINUTE_MS],
        "teams": [frozenset({"red", "blue"}), frozenset()],
    }
    pairs = [(name, value) for name, each in values.items() for value in each]

    for (name, value), (other, second) in product(pairs, pairs):
        asked = {"teams": None, name: value, other: second}
        wanted = CallFilter(**asked)
        expected = [line for line in everything if fits(line, wanted)]
        assert all_of(database, number, wanted) == expected, asked


def test_newest_first_and_each_once(database: Database) -> None:
    number = filled(database, many(50))

    found = [line.number for line in all_of(database, number, CallFilter(teams=None))]

    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found) == 50


def test_calls_that_come_while_somebody_pages_do_not_move_pages(database: Database) -> None:
    lives = many(20)
    number = filled(database, lives)
    wanted = CallFilter(teams=None, model="acme/*")
    with database.read() as connection:
        first = calls.page(connection, number, wanted, before=None, count_max=5)
    more = Lives()
    more.calls = 1_000
    more.call(at_ms=NOON_MS + 100 * MINUTE_MS)
    archive_entries(database, "acme", more.entries)

    with database.read() as connection:
        second = calls.page(connection, number, wanted, before=first.next, count_max=1_000)
    numbers = [line.number for line in (*first.items, *second.items)]

    newer, *others = [line.number for line in all_of(database, number, wanted)]
    assert numbers == others
    assert newer > numbers[0]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_of_any_kind(database: Database, name: str) -> None:
    lives = Lives()
    wanted_id = lives.call(team=name, user=name, key=name, provider=name, model=name)
    lives.call()
    number = filled(database, lives)

    for field in ("team", "user", "key_id", "provider", "model"):
        asked = CallFilter(**{"teams": None, field: name})  # type: ignore[arg-type]  # One of them.
        assert [line.call_id for line in all_of(database, number, asked)] == [wanted_id], field
    mine = CallFilter(teams=frozenset({name}))
    assert [line.call_id for line in all_of(database, number, mine)] == [wanted_id]


@pytest.mark.parametrize("few", [True, False])
def test_a_glob_has_one_sign(
    database: Database, monkeypatch: pytest.MonkeyPatch, few: bool
) -> None:
    """Whether names are gone through or the database compares them, on SQLite and on Postgres."""
    if not few:
        monkeypatch.setattr(calls, "MODELS_MAX", 2)
    lives = Lives()
    models = ("a_c", "abc", "ABC", "a%c", "a?c", "a[b]c", "a\\c", "ab", "xabc")
    for model in models:
        lives.call(model=model)
    number = filled(database, lives)

    def found(glob: str) -> set[str]:
        wanted = CallFilter(teams=None, model=glob)
        return {line.model for line in all_of(database, number, wanted)}

    assert found("a_*") == {"a_c"}
    assert found("a%*") == {"a%c"}
    assert found("a?*") == {"a?c"}
    assert found("a[b]*") == {"a[b]c"}
    assert found("a\\*") == {"a\\c"}
    assert found("ab*") == {"abc", "ab"}
    assert found("*bc") == {"abc", "xabc"}
    assert found("**") == set(models)


def test_many_models_are_compared_in_passing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "BRANCHES_MAX", 1)
    lives = many(40)
    number = filled(database, lives)
    everything = all_of(database, number, CallFilter(teams=None))

    for wanted in (
        CallFilter(teams=None, model="acme/*"),
        CallFilter(teams=frozenset({"red", "blue"})),
    ):
        expected = [line for line in everything if fits(line, wanted)]
        assert all_of(database, number, wanted) == expected


def test_times_that_are_not_quite_in_order(database: Database) -> None:
    lives = Lives()
    jitter = (0, 90_000, -60_000, 30_000, -110_000)
    for index in range(60):
        lives.call(at_ms=NOON_MS + index * MINUTE_MS // 2 + jitter[index % 5])
    number = filled(database, lives)
    everything = all_of(database, number, CallFilter(teams=None))

    for since in range(NOON_MS, NOON_MS + 30 * MINUTE_MS, 7 * MINUTE_MS):
        wanted = CallFilter(teams=None, since_ms=since, until_ms=since + 5 * MINUTE_MS)
        expected = [line for line in everything if fits(line, wanted)]
        assert expected
        assert all_of(database, number, wanted) == expected


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    look=st.integers(1, 12),
    count_max=st.integers(1, 9),
    state=st.sampled_from([None, *STATES]),
    team=st.sampled_from([None, "red", "blue"]),
    model=st.sampled_from([None, "acme/*", "*mini", "o/mini"]),
    user=st.sampled_from([None, "alice"]),
)
def test_pages_of_any_size_come_to_the_same(
    sqlite_archive: Database,
    monkeypatch: pytest.MonkeyPatch,
    look: int,
    count_max: int,
    state: str | None,
    team: str | None,
    model: str | None,
    user: str | None,
) -> None:
    monkeypatch.setattr(scan, "LOOKED_THROUGH_MAX", look)
    with sqlite_archive.read() as connection:
        there = calls.page(connection, 1, CallFilter(teams=None), before=None, count_max=1_000)
    if not there.items:
        filled(sqlite_archive, many(60))
    everything = all_of(sqlite_archive, 1, CallFilter(teams=None))
    wanted = CallFilter(teams=None, state=state, team=team, model=model, user=user)

    found = all_of(sqlite_archive, 1, wanted, count_max=count_max)

    assert found == [line for line in everything if fits(line, wanted)]


def test_a_life_has_every_entry_in_order(database: Database) -> None:
    lives = many(10)
    made = lives.call("receipted")
    number = filled(database, lives)

    with database.read() as connection:
        found = calls.life(connection, number, made, teams=None)

    assert found is not None
    assert found.line.call_id == made
    assert [entry.kind for entry in found.entries] == ["admitted", "settle", "receipt"]
    assert [entry.call_id for entry in found.entries] == [made] * 3


def test_a_life_is_seen_by_its_team_alone(database: Database) -> None:
    lives = Lives()
    made = lives.call(team="red")
    number = filled(database, lives)

    with database.read() as connection:
        assert calls.life(connection, number, made, teams=frozenset({"red"})) is not None
        assert calls.life(connection, number, made, teams=frozenset({"blue"})) is None
        assert calls.life(connection, number, made, teams=frozenset()) is None


@pytest.mark.parametrize("odd", ["", "call_1", "\0", "\ud800", "call_" + "z" * 26, "x" * 10_000])
def test_an_id_that_nobody_gave(database: Database, odd: str) -> None:
    lives = Lives()
    lives.call()
    number = filled(database, lives)

    with database.read() as connection:
        assert calls.life(connection, number, odd, teams=None) is None


def test_a_call_whose_id_tells_no_time(database: Database) -> None:
    lives = Lives()
    lives.odd(kind="admitted", call_id="ghost_7", data='{"team": "red"}')
    number = filled(database, lives)

    with database.read() as connection:
        found = calls.life(connection, number, "ghost_7", teams=None)

    assert found is not None
    assert found.line.team == "red"


def test_another_organisation_has_calls_of_its_own(database: Database) -> None:
    number = filled(database, many(5))
    others = Lives()
    made = others.call(team="theirs")
    theirs = archive_entries(database, "other", others.entries).organization_id

    assert len(all_of(database, number, CallFilter(teams=None))) == 5
    assert [line.call_id for line in all_of(database, theirs, CallFilter(teams=None))] == [made]
    assert all_of(database, 99, CallFilter(teams=None)) == []


def test_a_page_that_cannot_be_is_refused(database: Database) -> None:
    with database.read() as connection, pytest.raises(BadFilter, match="limit"):
        calls.page(connection, 1, CallFilter(teams=None), before=None, count_max=0)
