"""The chain can be computed by anybody who has the entries, and every change of one breaks it."""

from __future__ import annotations

import dataclasses
import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.archive.chain import ChainedEntry, canonical, genesis, link

ENTRY = ChainedEntry(
    number=1,
    stream_id="7-0",
    at_ms=1_795_438_800_000,
    version=1,
    kind="admitted",
    call_id="call_1",
    data='{"team": "rouge \u00e9"}',
    moves="[]",
)


def test_the_chain_of_an_organisation_begins_with_its_name() -> None:
    assert genesis("acme") == sha256(b"bursar journal 1\nacme").digest()
    assert genesis("acme") != genesis("globex")


def test_an_entry_is_written_as_one_compact_array() -> None:
    assert (
        canonical(ENTRY)
        == (
            '[1,"7-0",1795438800000,1,"admitted","call_1","{\\"team\\": \\"rouge \u00e9\\"}","[]",null,null]'
        ).encode()
    )


def test_a_link_covers_the_entry_and_the_hash_before_it() -> None:
    first = genesis("acme")

    assert link(first, ENTRY) == sha256(first + canonical(ENTRY)).digest()


def test_the_form_never_changes() -> None:
    assert link(genesis("acme"), ENTRY).hex() == (
        "9e69bc5c345139409656054ed7d5198965f5345f967fea4e08c51ca1b2546a17"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"number": 2},
        {"stream_id": "7-1"},
        {"at_ms": 0},
        {"version": 2},
        {"kind": "refused"},
        {"call_id": None},
        {"data": '{"team": "rouge e"}'},
        {"moves": "[ ]"},
        {"checks": "[]"},
        {"more": "{}"},
    ],
)
def test_every_field_is_covered(change: dict[str, Any]) -> None:
    changed = dataclasses.replace(ENTRY, **change)

    assert link(genesis("acme"), changed) != link(genesis("acme"), ENTRY)


@given(st.text(), st.text(), st.none() | st.text())
def test_any_json_library_reads_it_back(data: str, kind: str, more: str | None) -> None:
    changed = dataclasses.replace(ENTRY, data=data, kind=kind, more=more)

    read = json.loads(canonical(changed).decode("utf-8", "surrogatepass"))

    assert read == list(dataclasses.astuple(changed))
