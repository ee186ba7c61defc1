"""One account, in front of each kind of ledger and store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policies.ledger.memory import MemoryLedger
from policies.ledger.redis_ledger import RedisLedger
from proxy.wallets.store import WalletStore
from tests.doubles.fake_clock import FakeClock
from tests.proxy.wallets.rig import MemoryStore, Rig

MakeRig = Callable[..., Rig]


@pytest.fixture
def store(
    ledger: MemoryLedger | RedisLedger, clock: FakeClock, request: pytest.FixtureRequest
) -> WalletStore:
    if isinstance(ledger, MemoryLedger):
        return MemoryStore(clock)
    return WalletStore(request.getfixturevalue("connection"), ledger.keys)


@pytest.fixture
def make_rig(ledger: MemoryLedger | RedisLedger, store: WalletStore, clock: FakeClock) -> MakeRig:
    def make(**more: object) -> Rig:
        return Rig(clock, ledger, store, **more)  # type: ignore[arg-type]  # They are the rig's own.

    return make


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """A subscription that is polled each minute."""
    return make_rig()
