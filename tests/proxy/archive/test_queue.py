"""The journal is taken by one replica at a time, in order, and cut off behind what is archived."""

from __future__ import annotations

import pytest

from policies.ledger.connection import Connection
from proxy.archive import queue as queues
from proxy.archive.queue import JournalQueue, Place, Waiting, is_behind, waiting_entries
from tests.doubles.journal_rows import entry, life
from tests.doubles.journal_stream import JournalStream

PLACE = Place(2, "2-0", "ab", 2)
LONG_MS = 10**9


@pytest.fixture
def stream(connection: Connection, organization: str) -> JournalStream:
    return JournalStream(connection, organization)


def queue(stream: JournalStream, owner: str = "me") -> JournalQueue:
    return JournalQueue(stream.connection, stream.keys, owner=owner)


async def test_entries_come_in_order_behind_an_id(stream: JournalStream) -> None:
    await stream.add(*life(1), *life(2))

    taken = await queue(stream).take("1-0", 2)

    assert [row[0] for row in taken.rows] == [b"2-0", b"3-0"]
    assert (taken.others, taken.place, taken.length, taken.added) == (False, None, 4, 4)


async def test_many_entries_come_in_order(stream: JournalStream) -> None:
    await stream.add(*[entry("note")] * 250)

    taken = await queue(stream).take("0-0", 230)

    assert [row[0].decode() for row in taken.rows] == [f"{n}-0" for n in range(1, 231)]


async def test_an_empty_journal_has_nothing(stream: JournalStream) -> None:
    taken = await queue(stream).take("0-0", 10)

    assert (taken.rows, taken.length, taken.added) == ((), 0, -1)


async def test_a_batch_is_bounded_in_bytes(
    stream: JournalStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stream.add(*[entry("note", data={"text": "x" * 1_000})] * 10)
    monkeypatch.setattr(queues, "BATCH_BYTES_MAX", 2_500)

    taken = await queue(stream).take("0-0", 10)

    assert len(taken.rows) == 3


async def test_one_replica_takes_at_a_time(stream: JournalStream) -> None:
    await stream.add(*life(1))
    await queue(stream).take("0-0", 1)

    other = await queue(stream, "you").take("0-0", 10)

    assert (other.others, other.rows, other.length) == (True, (), 2)


async def test_a_claim_that_is_let_go_is_free(stream: JournalStream) -> None:
    await queue(stream).take("0-0", 1)
    await queue(stream, "you").let_go()
    assert (await queue(stream, "you").take("0-0", 1)).others

    await queue(stream).let_go()

    assert not (await queue(stream, "you").take("0-0", 1)).others


async def test_a_claim_ends_by_itself(stream: JournalStream) -> None:
    await queue(stream).take("0-0", 1)

    left_ms = await stream.execute("PTTL", stream.keys.claim("archive"))

    assert 0 < left_ms <= queues.CLAIM_MS


async def test_where_the_archive_stands_is_noted(stream: JournalStream) -> None:
    await queue(stream).take("0-0", 1)

    assert await queue(stream).put(PLACE, keep_ms=LONG_MS)

    assert (await queue(stream).take("0-0", 1)).place == PLACE


async def test_whoever_lost_the_claim_notes_and_cuts_nothing(stream: JournalStream) -> None:
    await stream.add(*[entry("note")] * 300)
    await queue(stream).take("0-0", 1)

    assert not await queue(stream, "you").put(Place(300, "300-0", "", 300), keep_ms=1)

    assert await stream.length() == 300
    assert (await queue(stream).take("0-0", 1)).place is None


async def test_what_was_archived_long_ago_is_cut_off_and_the_last_of_it_stays(
    stream: JournalStream,
) -> None:
    ids = await stream.add(*[entry("note")] * 1_000)
    await queue(stream).take("0-0", 1)

    await queue(stream).put(Place(900, ids[899], "", 900), keep_ms=1)

    taken = await queue(stream).take("0-0", 1_000)
    assert 101 <= len(taken.rows) <= 300
    assert await queue(stream).entry(ids[899]) is not None


async def test_what_came_just_now_stays_for_a_while(stream: JournalStream) -> None:
    ids = [(await stream.add(entry("note"), stream_id="*"))[0] for _ in range(300)]
    await queue(stream).take("0-0", 1)

    await queue(stream).put(Place(300, ids[-1], "", 300), keep_ms=LONG_MS)

    assert await stream.length() == 300


async def test_one_entry_is_found_by_its_id(stream: JournalStream) -> None:
    await stream.add(*life(1))

    assert (await queue(stream).entry("2-0") or (b"",))[0] == b"2-0"
    assert await queue(stream).entry("9-0") is None


async def test_anybody_may_ask_how_much_waits(stream: JournalStream) -> None:
    await stream.add(*life(1), *life(2))
    await queue(stream).take("0-0", 1)
    await queue(stream).put(PLACE, keep_ms=LONG_MS)

    assert await queue(stream, "you").waiting() == Waiting(2, 4, "4-0", "2-0")


async def test_nothing_waits_in_an_empty_journal(stream: JournalStream) -> None:
    assert await queue(stream).waiting() == Waiting(0, 0, "0-0", "0-0")


@pytest.mark.parametrize("noted", ["", "x", "1 2", "1 a-b c 2", "1 1-0 c x", "1 1-0 c 2 3"])
async def test_a_note_that_cannot_be_read_is_none(stream: JournalStream, noted: str) -> None:
    await stream.execute("SET", f"{stream.keys.journal}:archived", noted)

    assert (await queue(stream).take("0-0", 1)).place is None


@pytest.mark.parametrize(
    ("place", "length", "added", "waiting"),
    [
        (None, 7, 9, 7),
        (Place(1, "1-0", "", -1), 7, 9, 7),
        (Place(1, "1-0", "", 4), 7, 9, 5),
        (Place(1, "1-0", "", 4), 7, -1, 7),
        (Place(1, "1-0", "", 9), 0, 4, 0),
        (Place(1, "1-0", "", 0), 3, 9, 3),
    ],
)
def test_what_waits_is_what_came_since(
    place: Place | None, length: int, added: int, waiting: int
) -> None:
    assert waiting_entries(place, length, added) == waiting


def test_ids_are_compared_as_numbers() -> None:
    assert is_behind("10-0", "9-5")
    assert is_behind("9-10", "9-9")
    assert not is_behind("9-9", "9-9")
