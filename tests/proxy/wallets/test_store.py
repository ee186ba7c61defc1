"""What replicas share of wallets, in a real Redis."""

from __future__ import annotations

import pytest

from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.keys import Keys
from proxy.wallets.store import Stored, WalletStore
from proxy.wallets.wallet import KnownQuota, Source, Wallet
from tests.doubles.fake_commands import FakeCommands

FLOWS = KnownQuota(name="5_hour", unit="flows", remaining=5, samples=((1, 2),))
WALLET = Wallet(sources={"detail": Source(began_ms=7, quotas=(FLOWS,))}, asked_ms=7)


@pytest.fixture
def store(connection: Connection, organization: str) -> WalletStore:
    return WalletStore(connection, Keys(organization))


async def test_at_first_nothing_is_known(store: WalletStore) -> None:
    assert await store.load("acme") == Stored(Wallet(), 0, "")


async def test_what_is_kept_under_a_claim_is_there_for_all(store: WalletStore) -> None:
    assert await store.claim("acme", "one", 60_000)
    assert await store.keep("acme", "one", WALLET)

    assert await store.load_all(["acme", "other"]) == {
        "acme": Stored(WALLET, 0),
        "other": Stored(Wallet(), 0),
    }


async def test_one_has_the_claim_until_it_is_let_go_of(store: WalletStore) -> None:
    assert await store.claim("acme", "one", 60_000)

    assert not await store.claim("acme", "two", 60_000)
    assert await store.claim("other", "two", 60_000)
    assert not await store.release("acme", "two")
    assert not await store.claim("acme", "two", 60_000)
    assert await store.release("acme", "one")
    assert await store.claim("acme", "two", 60_000)


async def test_a_claim_runs_out_when_its_owner_dies(
    store: WalletStore, connection: Connection, organization: str
) -> None:
    await store.claim("acme", "one", 60_000)

    left_ms = await connection.execute("PTTL", Keys(organization).claim("wallet:acme"))

    assert 0 < left_ms <= 60_000


async def test_whoever_lost_the_claim_keeps_nothing(store: WalletStore) -> None:
    await store.claim("acme", "two", 60_000)

    assert not await store.keep("acme", "one", WALLET)
    assert await store.load("acme") == Stored(Wallet(), 0)
    assert not await store.claim("acme", "three", 60_000)


async def test_a_claim_is_let_go_of_with_what_it_was_for(store: WalletStore) -> None:
    await store.claim("acme", "one", 60_000)
    await store.keep("acme", "one", WALLET)

    assert await store.claim("acme", "two", 60_000)
    assert await store.release("acme", "two")
    assert (await store.load("acme")).wallet == WALLET


async def test_a_nudge_and_a_poll_leave_each_other_alone(store: WalletStore) -> None:
    await store.claim("acme", "one", 60_000)
    await store.nudge("acme", 123, "a quota is used up")
    await store.keep("acme", "one", WALLET)
    await store.nudge("acme", 456, "the credit is used up")

    assert await store.load("acme") == Stored(WALLET, 456, "the credit is used up")


@pytest.mark.parametrize("document", ["", "[]", "{", '{"sources": 5}', '{"asked_ms": "x"}'])
async def test_what_another_version_kept_is_as_good_as_nothing(
    store: WalletStore, connection: Connection, organization: str, document: str
) -> None:
    await connection.execute("HSET", Keys(organization).wallet("acme"), "report", document)

    assert await store.load("acme") == Stored(Wallet(), 0)


async def test_fields_of_a_later_version_do_no_harm(
    store: WalletStore, connection: Connection, organization: str
) -> None:
    key = Keys(organization).wallet("acme")
    await connection.execute("HSET", key, "report", '{"asked_ms": 5, "new": {}}')

    assert (await store.load("acme")).wallet == Wallet(asked_ms=5)


async def test_without_redis_everything_says_so() -> None:
    away = FakeCommands()
    away.away = True
    store = WalletStore(away, Keys("org"))

    for work in (
        store.load("acme"),
        store.load_all(["acme"]),
        store.claim("acme", "one", 1),
        store.keep("acme", "one", WALLET),
        store.release("acme", "one"),
        store.nudge("acme", 1, "x"),
    ):
        with pytest.raises(LedgerUnavailable):
            await work
