"""Rules that hold for every table of the archive."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Float, Integer, LargeBinary, Numeric, Table

from proxy.archive.chain import ChainedEntry
from proxy.archive.lives import COLUMNS
from proxy.archive.tables import calls, entries, metadata, organizations, signing_keys

TABLES = sorted(metadata.tables.values(), key=lambda table: table.name)
OF_ALL = {organizations.name, signing_keys.name}


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_no_amount_is_a_fraction(table: Table) -> None:
    fractions = [c.name for c in table.columns if isinstance(c.type, Float | Numeric)]

    assert fractions == []


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_amounts_and_times_have_room(table: Table) -> None:
    narrow = [
        column.name
        for column in table.columns
        if column.name.endswith(("_nano_usd", "_tokens", "_ms", "spent", "number"))
        and not isinstance(column.type, BigInteger)
    ]

    assert narrow == []


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_organisations_keep_to_their_own_pages(table: Table) -> None:
    if table.name in OF_ALL:
        return
    assert next(iter(table.primary_key.columns)).name == "organization_id"
    for index in table.indexes:
        assert next(iter(index.columns)).name == "organization_id"


def test_an_entry_is_kept_whole() -> None:
    kept = [column.name for column in entries.columns]

    assert set(ChainedEntry.__dataclass_fields__) | {"organization_id", "month", "hash"} == set(
        kept
    )
    assert isinstance(entries.c.hash.type, LargeBinary)
    assert isinstance(entries.c.month.type, Integer)


def test_a_call_has_the_columns_that_are_written() -> None:
    assert ["organization_id", *COLUMNS] == [column.name for column in calls.columns]
