"""The walk along a chain: whatever is done to a journal, the first entry concerned is named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from proxy.archive.chain import ChainedEntry, genesis, link
from proxy.archive.pieces import (
    Checkpoint,
    Damage,
    End,
    Origin,
    Piece,
    PublicKey,
    StoredEntry,
    Unreadable,
)
from proxy.archive.signing import SigningKey
from proxy.archive.trust import Trust
from proxy.archive.walk import SKEW_MS, Broken, Verified, Walk

KEY = SigningKey(Ed25519PrivateKey.generate())
ORIGIN = Origin(
    organization="acme",
    first_number=1,
    first_hash=genesis("acme"),
    where="here",
    sorted=False,
)
PUBLIC = PublicKey(id=KEY.id, public_key=KEY.public_key, created_ms=0, where="key")


def chain(count: int) -> list[StoredEntry]:
    """Return entries that are linked as they should be."""
    made, last = [], genesis("acme")
    for number in range(1, count + 1):
        entry = ChainedEntry(
            number=number,
            stream_id=f"{number}-0",
            at_ms=number,
            version=1,
            kind="settle",
            call_id=f"call_{number}",
            data=f'{{"n":{number}}}',
            moves="[]",
        )
        last = link(last, entry)
        made.append(StoredEntry(entry=entry, hash=last, where=f"place {number}"))
    return made


def end_of(entries: list[StoredEntry]) -> End:
    last = entries[-1] if entries else None
    return End(
        number=last.entry.number if last else 0,
        hash=last.hash if last else genesis("acme"),
        where="end",
    )


def signed(entry: StoredEntry, at_ms: int = 0) -> Checkpoint:
    made = KEY.checkpoint("acme", entry.entry.number, at_ms, entry.hash)
    return replace(made, where=f"checkpoint {entry.entry.number}")


def walked(
    pieces: Iterable[Piece],
    *,
    origin: Origin = ORIGIN,
    pinned: tuple[bytes, ...] = (),
    kept: Iterable[Checkpoint] = (),
) -> Verified | Broken:
    by_number = {each.number: each for each in kept}
    return Walk(origin, Trust(pinned), by_number).along(iter(list(pieces)))


@given(st.integers(0, 30))
def test_every_whole_chain_is_verified(count: int) -> None:
    entries = chain(count)

    result = walked([*entries, end_of(entries)])

    assert isinstance(result, Verified)
    assert (result.entries, result.last) == (count, count)


@given(st.data())
def test_the_first_entry_that_is_missing_is_named(data: st.DataObject) -> None:
    entries = chain(20)
    gone = data.draw(st.sets(st.integers(1, 20), min_size=1))
    left = [stored for stored in entries if stored.entry.number not in gone]

    result = walked([*left, end_of(entries)])

    assert isinstance(result, Broken)
    assert result.number == min(gone)
    at_the_end = max((each.entry.number for each in left), default=0) < min(gone)
    assert result.what is (Damage.CUT if at_the_end else Damage.REMOVED)


@given(st.data())
def test_the_first_entry_that_is_elsewhere_is_named(data: st.DataObject) -> None:
    entries = chain(12)
    mixed = data.draw(st.permutations(entries))
    first = next((n for n, each in enumerate(mixed, 1) if each.entry.number != n), None)

    result = walked([*mixed, end_of(entries)])

    if first is None:
        assert isinstance(result, Verified)
        return
    assert isinstance(result, Broken)
    assert (result.number, result.what) == (first, Damage.REORDERED)


@given(st.data())
def test_the_first_entry_that_says_something_else_is_named(data: st.DataObject) -> None:
    entries = chain(12)
    touched = data.draw(st.sets(st.integers(1, 12), min_size=1))
    told: list[Piece] = [
        replace(each, entry=replace(each.entry, data="{}"))
        if each.entry.number in touched
        else each
        for each in entries
    ]

    result = walked([*told, end_of(entries)])

    assert isinstance(result, Broken)
    assert (result.number, result.what) == (min(touched), Damage.CHANGED)


def test_a_chain_that_begins_before_the_first_number_is_none() -> None:
    origin = replace(ORIGIN, first_number=0)

    result = walked([], origin=origin)

    assert isinstance(result, Broken)
    assert result.what is Damage.CHANGED


def test_a_chain_that_begins_with_another_hash_is_of_somebody_else() -> None:
    result = walked([], origin=replace(ORIGIN, first_hash=bytes(32)))

    assert isinstance(result, Broken)
    assert (result.number, result.what) == (1, Damage.CHANGED)


def test_the_hash_before_the_first_entry_is_that_of_a_checkpoint_that_was_kept() -> None:
    entries = chain(9)
    origin = replace(ORIGIN, first_number=5, first_hash=entries[3].hash)
    kept = signed(entries[3])
    other = replace(kept, hash=bytes(32))

    assert isinstance(walked([*entries[4:], end_of(entries)], origin=origin, kept=[kept]), Verified)
    result = walked([*entries[4:], end_of(entries)], origin=origin, kept=[other])
    assert isinstance(result, Broken)
    assert (result.number, result.what) == (5, Damage.REWRITTEN)


def test_a_first_entry_that_does_not_fit_may_be_the_fault_of_the_hash_before_it() -> None:
    entries = chain(9)
    origin = replace(ORIGIN, first_number=5, first_hash=bytes(32))

    result = walked([*entries[4:], end_of(entries)], origin=origin)

    assert isinstance(result, Broken)
    assert result.number == 5
    assert "or the hash before it is not" in result.said


def test_checkpoints_of_entries_that_were_dropped_are_checked_and_count_for_nothing() -> None:
    entries = chain(9)
    origin = replace(ORIGIN, first_number=5, first_hash=entries[3].hash)

    result = walked(
        [PUBLIC, signed(entries[1]), *entries[4:], end_of(entries)],
        origin=origin,
        pinned=(KEY.public_key,),
    )

    assert isinstance(result, Broken)
    assert (result.number, result.what) == (5, Damage.NOT_SIGNED)


def test_what_cannot_be_read_ends_the_walk() -> None:
    entries = chain(3)

    result = walked([*entries, Unreadable(said="no", where="line 5"), end_of(entries)])

    assert isinstance(result, Broken)
    assert (result.number, result.what, result.where) == (4, Damage.UNREADABLE, "line 5")


def test_a_journal_without_an_end_was_cut() -> None:
    result = walked(chain(3))

    assert isinstance(result, Broken)
    assert (result.number, result.what) == (4, Damage.CUT)


def test_an_export_needs_no_checkpoint_that_was_made_after_it() -> None:
    entries = chain(9)
    kept = [signed(entries[4], at_ms=1_000_000)]
    early = replace(ORIGIN, at_ms=1_000_000 + SKEW_MS - 1)
    late = replace(ORIGIN, at_ms=1_000_000 + SKEW_MS)

    assert isinstance(walked([*entries, end_of(entries)], origin=early, kept=kept), Verified)
    result = walked([*entries, end_of(entries)], origin=late, kept=kept)
    assert isinstance(result, Broken)
    assert (result.number, result.what) == (5, Damage.REMOVED)


def test_months_never_go_back() -> None:
    entries = [replace(each, month=202_611) for each in chain(5)]
    end = replace(end_of(entries), month=202_611)
    early = [*entries[:2], replace(entries[2], month=202_610), *entries[3:]]
    late = [*entries[:2], replace(entries[2], month=202_701), *entries[3:]]

    assert isinstance(walked([*entries, end]), Verified)
    for told in (early, late):
        result = walked([*told, end])
        assert isinstance(result, Broken)
        assert (result.number, result.what) == (3, Damage.CHANGED)


def test_the_longest_stretch_without_a_signature_is_told() -> None:
    entries = chain(20)
    pieces: list[Piece] = [PUBLIC, *entries[:3], signed(entries[2]), *entries[3:15]]
    pieces.append(signed(entries[14]))

    result = walked([*pieces, *entries[15:], end_of(entries)])

    assert isinstance(result, Verified)
    assert (result.signed_to, result.unsigned_max, result.checkpoints) == (15, 12, 2)
