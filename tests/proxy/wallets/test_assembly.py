"""Who is asked for quotas, and who is closed by a refusal: every provider that is configured."""

from __future__ import annotations

from typing import Any

import structlog

from policies.ledger.keys import Keys
from policies.ledger.memory import MemoryLedger
from proxy.billing_settings import WalletSettings
from proxy.providers.connection import Upstream
from proxy.telemetry.billing import Billing
from proxy.wallets.assembly import assemble
from proxy.wallets.watch import WalletWatch
from tests.doubles.fake_clock import FakeClock
from tests.proxy.wallets.documents import settings


class Silent:
    """Redis that nobody asks."""

    async def execute(self, *command: bytes | str | int) -> Any:
        raise AssertionError(command)


def test_every_provider_has_a_budget_that_a_refusal_closes(clock: FakeClock) -> None:
    log = structlog.wrap_logger(None, wrapper_class=structlog.BoundLogger)
    gate, poll = assemble(
        {
            "agipower": settings("agipower", api_key="sk-ss-v1-x", management_key="sk-mg-v1-x"),
            "local": settings("openai"),
        },
        WalletSettings(),
        commands=Silent(),
        keys=Keys("acme"),
        ledger=MemoryLedger(clock),
        upstream=Upstream(connect_timeout_s=1, idle_timeout_s=1),
        set_rate=lambda *_: None,
        watch=WalletWatch(Billing(), log, clock),
    )

    names = {p: [b.name for b, _ in gate.budgets(p)] for p in ("agipower", "local", "other")}
    assert names == {
        "agipower": ["wallet.agipower.account"],
        "local": ["wallet.local.account"],
        "other": [],
    }
    assert set(poll._adapters) == {"agipower"}
