"""Where a chain ends."""

from __future__ import annotations

from sqlalchemy import insert

from proxy.archive import heads
from proxy.archive.chain import genesis
from proxy.archive.database import Database
from proxy.archive.tables import checkpoints
from tests.doubles.archived import archive_entries
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.lived_calls import Lives


def test_before_the_first_entry_it_is_where_the_chain_will_begin(database: Database) -> None:
    with database.read() as connection:
        assert heads.organization_number(connection, "acme") is None
        head = heads.head(connection, 0, "acme")

    assert (head.number, head.hash, head.at_ms) == (0, genesis("acme"), None)
    assert (head.first_number, head.checkpoint_number, head.checkpoint_ms) == (1, None, None)


def test_the_last_entry_and_the_last_that_was_signed(database: Database) -> None:
    lives = Lives()
    lives.call("receipted")
    chain = archive_entries(database, "acme", lives.entries)
    with database.begin() as connection:
        for number in (1, 2):
            connection.execute(
                insert(checkpoints).values(
                    organization_id=chain.organization_id,
                    number=number,
                    at_ms=NOON_MS + number,
                    hash=b"h",
                    key_id="k",
                    signature=b"s",
                )
            )

    with database.read() as connection:
        found = heads.organization_number(connection, "acme")
        head = heads.head(connection, chain.organization_id, "acme")

    assert found == chain.organization_id
    assert (head.number, head.hash, head.at_ms) == (3, chain.hash, NOON_MS + 60_000)
    assert (head.first_number, head.checkpoint_number) == (1, 2)
    assert head.checkpoint_ms == NOON_MS + 2
