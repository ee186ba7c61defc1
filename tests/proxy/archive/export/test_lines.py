"""The lines of an exported journal: what is written is read, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.archive.chain import ChainedEntry
from proxy.archive.export import lines
from proxy.archive.pieces import Checkpoint, PublicKey, StoredEntry

ENTRY = ChainedEntry(
    number=1,
    stream_id="1-0",
    at_ms=1,
    version=1,
    kind="settle",
    call_id=None,
    data="{}",
    moves="[]",
)
STORED = StoredEntry(entry=ENTRY, hash=bytes(32), where="here")
TEXT = st.text()
HEADER = (
    b'{"bursar_journal":1,"organization":"acme","first_number":1,"first_hash":null,'
    b'"exported_ms":1,"asked":{}}'
)
MAYBE = st.none() | TEXT


def read(line: bytes) -> lines.Line:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return lines.parsed(line[:-1], "here")


@given(
    st.builds(
        ChainedEntry,
        number=st.integers(),
        stream_id=TEXT,
        at_ms=st.integers(),
        version=st.integers(),
        kind=TEXT,
        call_id=MAYBE,
        data=st.text(st.characters()),
        moves=TEXT,
        checks=MAYBE,
        more=MAYBE,
    ),
    st.binary(min_size=32, max_size=32),
)
def test_every_entry_comes_back_as_it_was(entry: ChainedEntry, digest: bytes) -> None:
    stored = StoredEntry(entry=entry, hash=digest, where="here")

    assert read(lines.entry_line(stored)) == stored


def test_the_first_line_is_one() -> None:
    assert isinstance(lines.parsed(HEADER, "here"), lines.Header)


def test_half_a_pair_comes_back_as_it_was() -> None:
    odd = ChainedEntry(
        number=1,
        stream_id="1-0",
        at_ms=1,
        version=1,
        kind="é\ud800",
        call_id=None,
        data="{}",
        moves="[]",
    )
    stored = StoredEntry(entry=odd, hash=bytes(32), where="here")

    assert read(lines.entry_line(stored)) == stored


def test_every_other_line_comes_back_as_it_was() -> None:
    key = PublicKey(id="ab", public_key=bytes(32), created_ms=5, where="here")
    checkpoint = Checkpoint(
        number=3, at_ms=4, hash=bytes(32), key_id="ab", signature=bytes(64), where="here"
    )
    header = lines.Header(
        organization="acmé", first_number=1, first_hash=bytes(32), exported_ms=5, asked={"a": 1}
    )
    trailer = lines.Trailer(
        last_number=3, last_hash=bytes(32), entries=3, checkpoints=1, sha256=bytes(32)
    )

    assert read(lines.key_line(key)) == key
    assert read(lines.checkpoint_line(checkpoint)) == checkpoint
    assert read(lines.header_line(header)) == header
    assert read(lines.trailer_line(trailer)) == trailer


def test_an_export_that_leaves_entries_out_has_no_hashes() -> None:
    header = lines.Header(
        organization="acme", first_number=1, first_hash=None, exported_ms=5, asked={}
    )
    trailer = lines.Trailer(
        last_number=3, last_hash=None, entries=3, checkpoints=0, sha256=bytes(32)
    )

    assert read(lines.header_line(header)) == header
    assert read(lines.trailer_line(trailer)) == trailer


@pytest.mark.parametrize(
    "changed",
    [
        {"number": "1"},
        {"number": True},
        {"number": 1.0},
        {"data": None},
        {"data": {}},
        {"call_id": 1},
        {"hash": None},
        {"hash": "zz"},
        {"hash": "AA" * 32},
        {"hash": "00 00"},
        {"extra": 1},
    ],
)
def test_a_value_of_another_form_is_refused(changed: dict[str, Any]) -> None:
    document = {**json.loads(lines.entry_line(STORED)), **changed}
    line = json.dumps(document, separators=(",", ":")).encode()

    with pytest.raises(lines.NotALine):
        lines.parsed(line, "here")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"7",
        b'"text"',
        b"[]",
        b"{}",
        b'{"number":1}',
        b"{" * 50_000,
        b'{"a":1e999}',
        b'{"key":"a","public_key":"00","created_ms":"5"}',
        b'{"key":1,"public_key":"00","created_ms":5}',
        b'{"checkpoint":1.5,"at_ms":1,"hash":"00","key":"a","signature":"00"}',
        HEADER.replace(b'"bursar_journal":1', b'"bursar_journal":2'),
        HEADER.replace(b"{}", b"[]"),
        HEADER.replace(b'"acme"', b"null"),
    ],
)
def test_what_is_no_line_is_refused(line: bytes) -> None:
    with pytest.raises(lines.NotALine):
        lines.parsed(line, "here")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"number":1,', b'"number":1, '),
        (b'"number":1,', b'"number":2,"number":1,'),
        (b'"kind":"settle"', b'"kind":"settl\\u0065"'),
        (b'"at_ms":1,', b'"at_ms":1e0,'),
    ],
)
def test_a_line_that_is_written_otherwise_is_refused(old: bytes, new: bytes) -> None:
    line = lines.entry_line(STORED)
    assert old in line

    with pytest.raises(lines.NotALine):
        lines.parsed(line.replace(old, new)[:-1], "here")
