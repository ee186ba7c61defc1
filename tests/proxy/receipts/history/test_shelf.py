"""Rows wait in a real Redis: each is given away once, to a call or as a ghost."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.ledger.connection import Connection
from policies.ledger.keys import Keys
from proxy.receipts.history.groups import Group
from proxy.receipts.history.rows import Row
from proxy.receipts.history.shelf import Ghost, NotYet, Place, Shelf, Taken, script
from tests.proxy.receipts.history.fake_history import NOON_MS
from tests.proxy.receipts.history.opened_shelf import opened_shelf

SETTLE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
#: Redis' time, an hour off the provider's.
NOW = NOON_MS + HOUR_MS
LATER = NOW + SETTLE_MS


@pytest.fixture
def keys(organization: str) -> Keys:
    return Keys(organization)


@pytest.fixture
def shelf(connection: Connection, keys: Keys) -> Shelf:
    return Shelf(connection, keys, "venice")


def row(number: int = 0, request_id: str | None = "chatcmpl-1", billed: str = "0.5") -> Row:
    return Row(
        at_ms=NOON_MS + number,
        billed=Decimal(billed),
        currency="DIEM",
        sku="zai-org/glm:5 “x”",
        units=Decimal("0.000227"),
        request_id=request_id,
        prompt_tokens=339,
        completion_tokens=None,
        notes='API "Inference"',
    )


def group(*numbers: int, request_id: str = "chatcmpl-1") -> Group:
    return Group(request_id, tuple(row(number, request_id) for number in numbers))


def taken(found: object) -> Group:
    assert isinstance(found, Taken), found
    return found.group


async def take(
    shelf: Shelf, call: str = "call-1", request_id: str = "chatcmpl-1", now_ms: int = LATER
) -> Taken | NotYet | None:
    return await shelf.take(call, [request_id], SETTLE_MS, now_ms)


async def one_ghost(shelf: Shelf, now_ms: int = NOW + HOUR_MS) -> Ghost:
    (ghost,) = await shelf.unclaimed(HOUR_MS, 10, now_ms)
    return ghost


async def kept(connection: Connection, keys: Keys) -> int:
    """Return how many groups there are, and check that each is in one index."""
    names = [keys.receipts("venice", part) for part in ("rows", "rows-seen", "rows-given")]
    count = int(await connection.execute("HLEN", names[0]))
    indexed = [int(await connection.execute("ZCARD", name)) for name in names[1:]]
    assert sum(indexed) == count
    return count


# To a call…


async def test_a_call_gets_the_group_as_it_was_put(shelf: Shelf) -> None:
    put = group(0, 1, 2)
    assert await shelf.put([put], NOW) == 3

    assert await take(shelf) == Taken(put)


async def test_a_group_that_may_grow_is_not_given_yet(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)
    assert isinstance(await take(shelf, now_ms=LATER - 1), NotYet)

    await shelf.put([group(1)], LATER - 1)
    assert isinstance(await take(shelf, now_ms=LATER), NotYet)

    assert taken(await take(shelf, now_ms=LATER + SETTLE_MS - 1)) == group(0, 1)


async def test_rows_that_come_again_change_nothing(shelf: Shelf) -> None:
    await shelf.put([group(0, 1)], NOW)

    assert await shelf.put([group(1), group(0, 1)], LATER - 1) == 0
    assert taken(await take(shelf)) == group(0, 1)


async def test_a_pass_that_begins_in_the_middle_of_a_call_takes_nothing_away(shelf: Shelf) -> None:
    await shelf.put([group(0, 1)], NOW)
    await shelf.put([group(1, 2)], NOW)

    assert taken(await take(shelf)) == group(0, 1, 2)


async def test_what_is_not_there_is_none(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)

    assert await take(shelf, request_id="chatcmpl-2") is None
    assert await shelf.take("call-1", [], SETTLE_MS, LATER) is None
    assert await shelf.take("call-1", ["", "\ud800", "\n"], SETTLE_MS, LATER) is None


async def test_the_same_call_gets_the_same_again_and_another_call_nothing(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)
    first = await take(shelf)
    await shelf.put([group(1)], LATER)

    assert await take(shelf, now_ms=LATER + 5) == first == Taken(group(0))
    assert await take(shelf, "call-2", now_ms=LATER + HOUR_MS) is None


async def test_the_first_id_that_there_is_finds_the_group(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)

    found = await shelf.take("call-1", ["resp_chatcmpl-1", "chatcmpl-1"], SETTLE_MS, LATER)

    assert taken(found) == group(0)


async def test_a_call_that_has_a_group_keeps_it_when_a_likelier_one_comes(shelf: Shelf) -> None:
    ids = ["chatcmpl-1", "chatcmpl-2"]
    await shelf.put([group(0, request_id="chatcmpl-2")], NOW)
    first = await shelf.take("call-1", ids, SETTLE_MS, LATER)
    await shelf.put([group(0)], NOW)

    assert await shelf.take("call-1", ids, SETTLE_MS, LATER + HOUR_MS) == first


async def test_an_id_behind_one_that_is_not_settled_is_tried_too(shelf: Shelf) -> None:
    await shelf.put([group(0)], LATER)
    await shelf.put([group(0, request_id="chatcmpl-2")], NOW)

    found = await shelf.take("call-1", ["chatcmpl-1", "chatcmpl-2"], SETTLE_MS, LATER)

    assert taken(found).request_id == "chatcmpl-2"


async def test_of_many_that_ask_at_once_one_call_gets_it(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)

    found = await asyncio.gather(*(take(shelf, f"call-{number}") for number in range(20)))

    assert sum(isinstance(each, Taken) for each in found) == 1


async def test_a_group_that_does_not_add_up_is_given_with_its_flaw(shelf: Shelf) -> None:
    flawed = Group("chatcmpl-1", (row(0),), ("its amount is “NaN”",), NOON_MS)
    await shelf.put([flawed, Group("chatcmpl-2", (), ("bad",), NOON_MS)], NOW)

    assert taken(await take(shelf)) == flawed
    assert taken(await take(shelf, request_id="chatcmpl-2")).flaws == ("bad",)


async def test_many_groups_are_put_at_once(
    shelf: Shelf, connection: Connection, keys: Keys
) -> None:
    many = [group(0, 1, 2, request_id=f"chatcmpl-{number}") for number in range(1_000)]

    assert await shelf.put(many, NOW) == 3_000
    assert await shelf.put(many, LATER) == 0
    assert await kept(connection, keys) == 1_000


async def test_providers_and_organisations_do_not_see_each_other(
    connection: Connection, organization: str
) -> None:
    mine = Shelf(connection, Keys(organization), "venice")
    others = [
        Shelf(connection, Keys(organization), "venice-2"),
        Shelf(connection, Keys(f"{organization}-2"), "venice"),
    ]
    await mine.put([group(0)], NOW)

    assert [await take(shelf) for shelf in others] == [None, None]
    assert taken(await take(mine)) == group(0)


# …or as a ghost.


async def test_what_no_call_claims_is_a_ghost_after_its_time(shelf: Shelf) -> None:
    await shelf.put([group(0, 1)], NOW)

    assert await shelf.unclaimed(HOUR_MS, 10, NOW + HOUR_MS - 1) == []
    ghost = await one_ghost(shelf)

    assert ghost == Ghost(id=ghost.id, number=1, kind="unclaimed", group=group(0, 1))
    assert await one_ghost(shelf) == ghost


async def test_rows_of_no_request_are_ghosts_each(shelf: Shelf) -> None:
    image = Group("", (row(0, None),))
    await shelf.put([image, Group("", (row(1, None),))], NOW)

    ghosts = await shelf.unclaimed(HOUR_MS, 10, NOW + HOUR_MS)

    assert [ghost.group.request_id for ghost in ghosts] == ["", ""]
    assert image in [ghost.group for ghost in ghosts]
    assert await take(shelf, request_id=image.name) is None


async def test_a_ghost_that_is_booked_is_not_offered_again(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)
    ghost = await one_ghost(shelf)

    assert await shelf.mark_ghost(ghost)
    assert not await shelf.mark_ghost(ghost)
    await shelf.put([group(0)], NOW + HOUR_MS)
    assert await shelf.unclaimed(HOUR_MS, 10, NOW + 9 * HOUR_MS) == []


async def test_ghosts_are_offered_a_few_at_a_time_oldest_first(shelf: Shelf) -> None:
    for number in range(5):
        await shelf.put([group(0, request_id=f"chatcmpl-{number}")], NOW + 10 - number)

    first = await shelf.unclaimed(HOUR_MS, 2, NOW + 2 * HOUR_MS)
    for ghost in first:
        await shelf.mark_ghost(ghost)
    second = await shelf.unclaimed(HOUR_MS, 2, NOW + 2 * HOUR_MS)

    assert [ghost.group.request_id for ghost in (*first, *second)] == [
        f"chatcmpl-{number}" for number in (4, 3, 2, 1)
    ]


async def test_what_a_call_has_is_no_ghost(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)
    await take(shelf)

    assert await shelf.unclaimed(0, 10, NOW + DAY_MS) == []


async def test_rows_that_come_after_the_call_got_its_group_are_a_late_ghost(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)
    await take(shelf)
    await shelf.put([group(0, 1)], LATER)

    ghost = await one_ghost(shelf, LATER + HOUR_MS)

    assert ghost == Ghost(id=ghost.id, number=1, kind="late", group=group(1), call_id="call-1")
    assert taken(await take(shelf, now_ms=LATER + DAY_MS)) == group(0)


async def test_rows_that_come_after_a_ghost_was_shown_are_another_ghost(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)
    first = await one_ghost(shelf)
    await shelf.put([group(1)], NOW + HOUR_MS)

    assert await shelf.unclaimed(HOUR_MS, 10, NOW + HOUR_MS + 1) == []
    both = await shelf.unclaimed(HOUR_MS, 10, NOW + 2 * HOUR_MS)

    (second,) = (ghost for ghost in both if ghost != first)
    assert (second.kind, second.group) == ("late", group(1))
    assert len(both) == len({first.id, second.id}) == 2
    await shelf.mark_ghost(first)
    assert await one_ghost(shelf, NOW + 2 * HOUR_MS) == second


async def test_a_call_that_comes_after_its_ghost_gets_all_and_is_told(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)
    ghost = await one_ghost(shelf)
    await shelf.mark_ghost(ghost)
    await shelf.put([group(1)], NOW + HOUR_MS)

    found = await take(shelf, now_ms=NOW + 2 * HOUR_MS)

    assert found == Taken(group(0, 1), (ghost.id,))
    assert await take(shelf, now_ms=NOW + 3 * HOUR_MS) == found
    assert await shelf.unclaimed(0, 10, NOW + DAY_MS) == []


# What is forgotten, and when…


async def test_a_call_whose_receipt_is_booked_is_forgotten_with_its_rows(
    shelf: Shelf, connection: Connection, keys: Keys
) -> None:
    await shelf.put([group(0, 9)], NOW)
    await take(shelf)
    assert await shelf.mark_booked("call-1", "chatcmpl-1")
    assert not await shelf.mark_booked("call-1", "chatcmpl-1")

    assert await shelf.prune(NOON_MS + 9) == 0
    assert await shelf.prune(NOON_MS + 10) == 1
    assert await kept(connection, keys) == 0


async def test_a_claim_that_may_not_be_booked_yet_is_kept_for_three_days(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)
    first = await take(shelf)

    assert await shelf.prune(LATER + 3 * DAY_MS) == 0
    assert await take(shelf) == first
    assert await shelf.prune(LATER + 3 * DAY_MS + 1) == 1


async def test_only_the_call_that_has_a_group_can_have_it_booked(shelf: Shelf) -> None:
    assert not await shelf.mark_booked("call-1", "chatcmpl-1")
    await shelf.put([group(0)], NOW)
    await take(shelf)

    assert not await shelf.mark_booked("call-2", "chatcmpl-1")


async def test_a_booked_ghost_is_forgotten_and_an_open_one_is_not(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)
    ghost = await one_ghost(shelf)
    assert await shelf.prune(NOON_MS + DAY_MS) == 0

    await shelf.mark_ghost(ghost)

    assert await shelf.prune(NOON_MS + DAY_MS) == 1
    assert not await shelf.mark_ghost(ghost)


async def test_what_nobody_has_is_never_forgotten(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)

    assert await shelf.prune(NOON_MS + 99 * DAY_MS) == 0
    assert taken(await take(shelf)) == group(0)


async def test_rows_of_what_was_forgotten_do_not_come_back(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)
    await take(shelf)
    await shelf.mark_booked("call-1", "chatcmpl-1")
    await shelf.prune(NOON_MS + 5)
    await shelf.prune(NOON_MS)

    assert await shelf.put([group(0)], NOW) == 0
    assert await shelf.put([group(0, 5)], NOW) == 1
    assert (await one_ghost(shelf)).group == group(5)


async def test_a_ghost_of_a_group_that_began_anew_has_another_name(shelf: Shelf) -> None:
    await shelf.put([group(0)], NOW)
    first = await one_ghost(shelf)
    await shelf.mark_ghost(first)
    await shelf.prune(NOON_MS + 5)
    await shelf.put([group(5)], NOW)

    second = await one_ghost(shelf)

    assert first.id != second.id
    assert first.number == second.number


async def test_many_are_forgotten_at_once(shelf: Shelf, connection: Connection, keys: Keys) -> None:
    await shelf.put([group(0, request_id=f"chatcmpl-{number}") for number in range(1_200)], NOW)
    for ghost in await shelf.unclaimed(0, 2_000, NOW):
        await shelf.mark_ghost(ghost)

    assert await shelf.prune(NOON_MS + 1) == 1_200
    assert await kept(connection, keys) == 0


# …and how far it was read.


async def test_the_place_is_kept_and_never_goes_back(shelf: Shelf) -> None:
    assert await shelf.place() == Place()

    assert await shelf.reached(NOON_MS, "usage", NOW) == NOON_MS
    assert await shelf.reached(NOON_MS - 5, "usage-history", NOW + 1) == NOON_MS

    assert await shelf.place() == Place(
        place_ms=NOON_MS, endpoint="usage-history", last_pass_ms=NOW + 1
    )


async def test_a_reading_that_was_stopped_is_resumed_until_one_was_whole(shelf: Shelf) -> None:
    await shelf.paused(NOON_MS - 7, "usage")
    assert await shelf.place() == Place(resume_ms=NOON_MS - 7, endpoint="usage")

    await shelf.reached(NOON_MS, "usage", NOW)
    assert (await shelf.place()).resume_ms is None


def test_each_script_says_what_it_does() -> None:
    assert b"local function load" in script("put")


# --- Whatever is done, in whatever order ---

REQUESTS = ("a", "b")
operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.integers(0, 7), min_size=1, max_size=4)),
        st.tuples(st.just("take"), st.sampled_from(["call-1", "call-2", "call-3"])),
        st.tuples(st.just("offer"), st.sampled_from([0, 3])),
        st.tuples(st.just("mark"), st.none()),
        st.tuples(st.just("booked"), st.sampled_from(["call-1", "call-2"])),
        st.tuples(st.just("prune"), st.integers(0, 8)),
    ),
    max_size=25,
)


class Conservation:
    """Remembers who got which row, and that nobody ever got another answer to the same question."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.put: set[Row] = set()
        self.calls: dict[str, Taken] = {}
        self.ghosts: dict[str, Ghost] = {}
        self.booked: set[str] = set()
        self.pruned_ms = 0
        self.now_ms = NOW

    async def run(self, operation: str, argument: object) -> None:
        self.now_ms += 1
        if operation == "put" and isinstance(argument, list):
            await self._put(argument)
        elif operation == "take":
            await self._take(str(argument))
        elif operation == "offer" and isinstance(argument, int):
            await self._offer(argument)
        elif operation == "mark" and self.ghosts:
            await self.shelf.mark_ghost(list(self.ghosts.values())[-1])
        elif operation == "booked":
            self.booked.add(str(argument))
            for name in REQUESTS:
                await self.shelf.mark_booked(str(argument), name)
        elif operation == "prune" and isinstance(argument, int):
            self.pruned_ms = max(self.pruned_ms, NOON_MS + argument)
            await self.shelf.prune(NOON_MS + argument)

    async def _put(self, numbers: list[int]) -> None:
        # A scan reads nothing from before what may be forgotten.
        rows = {row(number, REQUESTS[number % 2]) for number in numbers}
        rows = {each for each in rows if each.at_ms >= self.pruned_ms}
        groups = [
            Group(name, tuple(each for each in rows if each.request_id == name))
            for name in REQUESTS
        ]
        await self.shelf.put([each for each in groups if each.rows], self.now_ms)
        self.put |= rows

    async def _take(self, call: str) -> None:
        if call in self.booked:  # A call with its receipt waits for none.
            return
        found = await self.shelf.take(call, REQUESTS, 2, self.now_ms)
        if isinstance(found, Taken):
            assert self.calls.setdefault(call, found) == found

    async def _offer(self, older_than_ms: int) -> None:
        for ghost in await self.shelf.unclaimed(older_than_ms, 10, self.now_ms):
            assert self.ghosts.setdefault(ghost.id, ghost).group == ghost.group

    async def check(self) -> None:
        """Give away what is left, and check that every row went to exactly one."""
        await self._offer(-10)
        by_ghost = [each for ghost in self.ghosts.values() for each in ghost.group.rows]
        by_call = [
            each
            for found in self.calls.values()
            for each in found.group.rows
            if not any(each in ghost.group.rows for ghost in self._of(found))
        ]
        assert sorted(map(str, by_ghost + by_call)) == sorted(map(str, self.put))

    def _of(self, found: Taken) -> list[Ghost]:
        return [ghost for ghost in self.ghosts.values() if ghost.id in found.ghost_ids]


def test_every_row_is_given_away_exactly_once(redis_url: str) -> None:
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(operations)
    def holds(found: list[tuple[str, object]]) -> None:
        async def run() -> None:
            async with opened_shelf(redis_url) as shelf:
                world = Conservation(shelf)
                for operation, argument in found:
                    await world.run(operation, argument)
                await world.check()

        asyncio.run(run())

    holds()
