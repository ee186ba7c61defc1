"""Calls over the admin API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.admin.access import Access
from proxy.admin.calls import call_life, calls_page
from proxy.archive.database import ArchiveUnavailable
from proxy.archive.filters import CallFilter
from proxy.archive.reader import ArchiveReader
from tests.proxy.admin.conftest import USD, Plane

CALLS = "/admin/v1/calls"
ALL = CallFilter(teams=None)
ADMIN = Access(role="admin", teams=frozenset())


async def ids(plane: Plane, query: str = "", token: str = "root") -> list[str]:
    status, body = await plane.ask(f"{CALLS}?{query}", token=token)
    assert status == 200
    return [row["id"] for row in body["items"]]


async def test_a_call_is_listed_at_once_the_newest_first(plane: Plane) -> None:
    for number in range(3):
        await plane.call(f"call_{number}", "red")
    await plane.call("call_dear", "red", dollars=1_000)

    status, body = await plane.ask(CALLS)

    assert status == 200
    assert [(row["id"], row["state"]) for row in body["items"]] == [
        ("call_dear", "refused"),
        ("call_2", "settled"),
        ("call_1", "settled"),
        ("call_0", "settled"),
    ]


async def test_it_looks_the_same_when_only_the_archive_has_it(plane: Plane) -> None:
    for call_id, dollars in (("call_1", 1), ("call_2", 1), ("call_dear", 1_000)):
        await plane.call(call_id, "red", dollars=dollars, settled=call_id != "call_2")
    _, before = await plane.ask(CALLS)
    _, life_before = await plane.ask(f"{CALLS}/call_1")

    await plane.archive()
    for call_id in ("call_1", "call_2", "call_dear"):
        await plane.forget(call_id)

    _, after = await plane.ask(CALLS)
    _, life_after = await plane.ask(f"{CALLS}/call_1")
    assert after == before
    for entry in life_before["entries"]:
        entry["archived"] = True
    assert life_after == life_before


async def test_an_archived_call_that_moved_since_is_shown_as_it_is(plane: Plane) -> None:
    await plane.call("call_1", "red", settled=False)
    await plane.archive()
    record = await plane.services.ledger.find("call_1")
    assert record is not None
    await plane.services.ledger.expire(record.reservation)

    _, body = await plane.ask(CALLS)
    _, reserved = await plane.ask(f"{CALLS}?state=reserved")

    assert [row["state"] for row in body["items"]] == ["expired"]
    assert reserved["items"] == []


@pytest.mark.parametrize("archived", [0, 2, 3, 5])
async def test_pages_lead_through_everything_once(plane: Plane, archived: int) -> None:
    names = [f"call_{number}" for number in range(5)]
    for number, name in enumerate(names):
        await plane.call(name, "red")
        if number + 1 == archived:
            await plane.archive()

    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        _, body = await plane.ask(f"{CALLS}?limit=2{cursor}")
        found += [row["id"] for row in body["items"]]
        cursor = f"&cursor={body['cursor']}" if body["cursor"] else None

    assert found == names[::-1]


async def test_a_page_goes_on_though_the_archive_caught_up_meanwhile(plane: Plane) -> None:
    for number in range(5):
        await plane.call(f"call_{number}", "red")
    _, first = await plane.ask(f"{CALLS}?limit=2")
    await plane.archive()
    await plane.call("call_new", "red")

    rest = await ids(plane, f"cursor={first['cursor']}")

    assert rest == ["call_2", "call_1", "call_0"]


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("team=blue", ["call_3"]),
        ("user=bob", ["call_2"]),
        ("key=key_1", ["call_3", "call_2", "call_1", "call_0"]),
        ("provider=other", []),
        ("model=*maxi*", ["call_1"]),
        ("model=acme/mini", ["call_3", "call_2", "call_0"]),
        ("state=refused", ["call_0"]),
        ("state=settled&team=red", ["call_2", "call_1"]),
        ("since=1d&until=2030-01-01", ["call_3", "call_2", "call_1", "call_0"]),
        ("until=1d", []),
    ],
)
async def test_calls_are_filtered_alike_wherever_they_are(
    plane: Plane, archived: bool, query: str, found: list[str]
) -> None:
    await plane.call("call_0", "red", dollars=1_000)
    await plane.call("call_1", "red", model="acme/maxi")
    await plane.call("call_2", "red", user="bob")
    await plane.call("call_3", "blue")
    if archived:
        await plane.archive()

    assert await ids(plane, query) == found


async def test_a_span_of_nothing_is_a_mistake(plane: Plane) -> None:
    status, body = await plane.ask(f"{CALLS}?since=2026-11-23&until=2026-11-22")

    assert (status, body["error"]["code"]) == (400, "invalid")
    assert [each["field"] for each in body["error"]["mistakes"]] == ["until"]


async def test_a_name_with_html_is_a_name(plane: Plane) -> None:
    name = "<script>alert('%_\"')</script>"
    await plane.call("call_1", name)
    await plane.archive()

    _, body = await plane.ask(f"{CALLS}?team={quote(name)}")

    assert [row["team"] for row in body["items"]] == [name]


async def test_a_call_shows_its_whole_life(plane: Plane) -> None:
    await plane.call("call_1", "red")

    status, body = await plane.ask(f"{CALLS}/call_1")

    assert status == 200
    assert body["settled"] == {"nano_usd": 5, "usd": "0.000000005"}
    assert body["charges"][0]["charged"]["nano_usd"] == 5
    assert body["quote"] == {"nano_usd": USD}
    assert body["outcome"]["status"] == 200
    assert [(entry["kind"], entry["archived"]) for entry in body["entries"]] == [
        ("admitted", False),
        ("settle", False),
    ]


@pytest.mark.parametrize("archived", [False, True])
async def test_a_refused_call_shows_what_it_asked_of_which_budget(
    plane: Plane, archived: bool
) -> None:
    await plane.call("call_dear", "red", dollars=1_000)
    if archived:
        await plane.archive()

    _, body = await plane.ask(f"{CALLS}/call_dear")

    (charge,) = body["charges"]
    assert (body["state"], charge["budget"], charge["charged"]) == ("refused", "all", None)
    assert charge["held"]["nano_usd"] == 1_000 * USD
    (entry,) = body["entries"]
    assert (entry["kind"], entry["checks"][0]["short"]) == ("refused", True)


@pytest.mark.parametrize("archived", [False, True])
async def test_another_teams_calls_do_not_exist(plane: Plane, archived: bool) -> None:
    await plane.call("call_red", "red")
    await plane.call("call_blue", "blue")
    await plane.call("call_blue_dear", "blue", dollars=1_000)
    if archived:
        await plane.archive()

    assert await ids(plane, token="red-watcher") == ["call_red"]
    assert await ids(plane, "team=blue", token="red-watcher") == []
    for name in ("call_blue", "call_blue_dear"):
        status, body = await plane.ask(f"{CALLS}/{name}", token="red-watcher")
        assert (status, body["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("archived", [False, True])
async def test_a_life_does_not_tell_how_the_budget_of_all_teams_stands(
    plane: Plane, archived: bool
) -> None:
    await plane.call("call_red", "red")
    if archived:
        await plane.archive()

    _, whole = await plane.ask(f"{CALLS}/call_red")
    _, seen = await plane.ask(f"{CALLS}/call_red", token="red-watcher")

    assert [len(entry["movements"]) for entry in whole["entries"]] == [1, 1]
    assert [entry["movements"] + entry["checks"] for entry in seen["entries"]] == [[], []]
    assert seen["charges"] == whole["charges"]


@pytest.mark.parametrize("name", ["call_nobody", "x" * 300, "%00", "%0A", "<b>", "é%FF"])
async def test_an_unknown_call_is_not_found(plane: Plane, name: str) -> None:
    status, body = await plane.ask(f"{CALLS}/{name}")

    assert (status, body["error"]["code"]) == (404, "not_found")


class Away(ArchiveReader):
    """An archive that does not answer."""

    def __init__(self) -> None:
        pass

    async def _read(self, *_: Any, **__: Any) -> Any:
        raise ArchiveUnavailable("the disk is full")


async def test_without_the_archive_the_ledger_still_tells_a_life(plane: Plane) -> None:
    await plane.call("call_1", "red")
    services = replace(plane.services, archive=Away())
    blue = Access(role="viewer", teams=frozenset({"blue"}))

    life = await call_life(services, "call_1", ADMIN)

    assert life is not None
    assert (life.state, life.entries) == ("settled", None)
    assert await call_life(services, "call_1", blue) is None
    with pytest.raises(ArchiveUnavailable):
        await call_life(services, "call_gone", ADMIN)
    with pytest.raises(ArchiveUnavailable):
        await calls_page(services, ALL, before=None, count_max=5)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 6), states=st.lists(st.booleans(), min_size=1, max_size=6))
async def test_any_limit_and_any_moment_of_archiving_give_the_same_list(
    plane: Plane, limit: int, states: list[bool]
) -> None:
    team = f"team-{id(states)}-{limit}"
    wanted = CallFilter(teams=None, team=team)
    for number, archive in enumerate(states):
        await plane.call(f"call_{team}_{number}", team, settled=False)
        if archive:
            await plane.archive()

    found: list[str] = []
    before: int | None = None
    while True:
        page = await calls_page(plane.services, wanted, before=before, count_max=limit)
        found += [row.id for row in page.items]
        before = page.next
        if before is None:
            break

    assert found == [f"call_{team}_{number}" for number in reversed(range(len(states)))]
