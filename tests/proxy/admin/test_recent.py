"""What the journal has and the archive has not yet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.journal import Entry
from policies.ledger.memory import MemoryLedger
from proxy.admin.recent import (
    Numbered,
    Recent,
    fits_call,
    fits_entry,
    object_of,
    of_teams,
    recent,
)
from proxy.archive.filters import AuditFilter, CallFilter
from proxy.archive.reader import ArchiveReader
from tests.proxy.admin.conftest import Plane

CALL = {"team": "red", "user": "alice", "key": "key_1", "provider": "sim", "model": "acme/mini"}


def entry(number: int, *, call_id: str = "", kind: str = "settle", **data: Any) -> Numbered:
    made = Entry(id=f"{number}-0", kind=kind, call_id=call_id, at_ms=number, data=json.dumps(data))
    return Numbered(number=number, entry=made)


async def test_numbers_are_those_that_the_archive_will_give(plane: Plane) -> None:
    ledger, archive = plane.services.ledger, plane.services.archive
    for name in ("one", "two"):
        await ledger.note(name, "{}")
    await plane.archive()
    for name in ("three", "four"):
        await ledger.note(name, "{}")

    late = await recent(ledger, archive)

    assert late.archived == 2
    assert [(each.number, each.entry.kind) for each in late.entries] == [(3, "three"), (4, "four")]
    await plane.archive()
    page = await archive.audit(AuditFilter(teams=None), before=None, count_max=10)
    assert [(each.number, each.kind) for each in page.items[:2]] == [(4, "four"), (3, "three")]


async def test_with_nothing_archived_it_is_all_there_is(plane: Plane) -> None:
    await plane.services.ledger.note("one", "{}")

    late = await recent(plane.services.ledger, plane.services.archive)

    assert [each.number for each in late.entries] == [1]


async def test_an_archive_that_is_far_behind_ends_lists_where_it_ends(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.admin.recent.ENTRIES_MAX", 2)
    await plane.services.ledger.note("one", "{}")
    await plane.archive()
    for _ in range(3):
        await plane.services.ledger.note("more", "{}")

    assert await recent(plane.services.ledger, plane.services.archive) == Recent(archived=1)


class Emptied(ArchiveReader):
    """An archive from which retention has dropped every entry."""

    def __init__(self, archive: ArchiveReader) -> None:
        self._archive = archive

    async def audit(self, *_: Any, **__: Any) -> Any:
        return await self._archive.audit(AuditFilter(teams=frozenset()), before=None, count_max=1)

    async def head(self) -> Any:
        return await self._archive.head()


async def test_where_retention_has_left_nothing_there_is_no_going_on(plane: Plane) -> None:
    await plane.services.ledger.note("one", "{}")
    await plane.archive()
    await plane.services.ledger.note("two", "{}")

    late = await recent(plane.services.ledger, Emptied(plane.services.archive))

    assert late == Recent(archived=1)


def test_a_page_goes_on_where_the_last_one_ended() -> None:
    late = Recent(archived=2, entries=(entry(3), entry(4, call_id="call_1"), entry(5)))

    assert [each.number for each in late.newest(None)] == [5, 4, 3]
    assert [each.number for each in late.newest(5)] == [4, 3]
    assert (late.archive_before(None), late.archive_before(5), late.archive_before(2)) == (3, 3, 2)
    assert [each.number for each in late.of_call("call_1")] == [4]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, True),
        ({"teams": frozenset({"red"})}, True),
        ({"teams": frozenset({"blue"})}, False),
        ({"teams": frozenset()}, False),
        ({"team": "red"}, True),
        ({"team": "blue"}, False),
        ({"user": "alice", "key_id": "key_1", "provider": "sim"}, True),
        ({"user": "bob"}, False),
        ({"key_id": "key_2"}, False),
        ({"provider": "other"}, False),
        ({"model": "acme/mini"}, True),
        ({"model": "*mini"}, True),
        ({"model": "acme/mini?"}, False),
        ({"model": "acme/[m]ini"}, False),
        ({"model": "acme/[m]*"}, False),
        ({"model": "ACME/mini"}, False),
        ({"since_ms": 5, "until_ms": 6}, True),
        ({"since_ms": 6}, False),
        ({"until_ms": 5}, False),
    ],
)
def test_calls_fit_as_they_do_in_the_archive(wanted: dict[str, Any], fits: bool) -> None:
    assert fits_call(CallFilter(**{"teams": None, **wanted}), CALL, 5) is fits


def test_a_call_that_says_nothing_fits_no_model() -> None:
    assert not fits_call(CallFilter(teams=None, model="*"), {}, 5)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({}, [1, 2]),
        ({"kind": "settle"}, [1]),
        ({"call_id": "call_1"}, [1]),
        ({"acts_only": True}, [2]),
        ({"actor": "ann"}, [2]),
        ({"actor": "bob"}, []),
        ({"since_ms": 2}, [2]),
    ],
)
def test_entries_fit_as_they_do_in_the_archive(wanted: dict[str, Any], numbers: list[int]) -> None:
    entries = (entry(1, call_id="call_1", actor="ann"), entry(2, kind="exported", actor="ann"))
    asked = AuditFilter(**{"teams": None, **wanted})

    assert [each.number for each in entries if fits_entry(asked, each.entry)] == numbers


async def test_of_teams_there_are_the_entries_about_their_calls(plane: Plane) -> None:
    ledger = plane.services.ledger
    await plane.call("call_red", "red")
    await plane.call("call_blue", "blue")
    await ledger.note("exported", "{}")
    late = await recent(ledger, plane.services.archive)

    kept = await of_teams(ledger, late.entries, frozenset({"red"}))

    assert {each.entry.call_id for each in kept} == {"call_red"}
    assert [each.entry.kind for each in kept] == ["admitted", "settle"]


async def test_whose_a_call_was_that_nobody_remembers_is_not_known(
    memory_ledger: MemoryLedger,
) -> None:
    gone = [entry(1, call_id="call_gone")]

    assert await of_teams(memory_ledger, gone, frozenset({"red"})) == []


@pytest.mark.parametrize("text", ["", "[1]", "{", "null", "[" * 100_000])
def test_what_is_no_object_says_nothing(text: str) -> None:
    assert object_of(text) == {}
