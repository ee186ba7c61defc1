"""What alerts are made from, in the words of those who know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from policies.budgets import Budget
from policies.decisions import Standing
from policies.ledger.connection import Connection
from policies.ledger.keys import place
from policies.ledger.redis_ledger import RedisLedger
from policies.rulebook import Rulebook
from policies.windows import Calendar
from proxy.admin.schemas import DriftRow, GhostSpend, Money, QuotaRow, ReceiptsRow, WalletRow
from proxy.alerts.alert import Topic
from proxy.archive_settings import ArchiveSettings
from proxy.cli.alert_sources import AlertSources
from proxy.receipts.compare import day_name
from proxy.receipts.schedule import Schedule
from proxy.settings import Settings
from tests.doubles.fake_clock import FakeClock

USD = 1_000_000_000
BUDGET = Budget(
    name="research", unit="USD", limit=100 * USD, window=Calendar("day"), warn_at_percent=(50,)
)
RULEBOOK = Rulebook(budgets={"research": BUDGET})
QUOTA: dict[str, Any] = {
    "name": "5_hour",
    "unit": "flows",
    "limit": {"nano": 800 * USD, "amount": "800"},
    "remaining": {"nano": 8 * USD, "amount": "8"},
    "resets_at": "2026-11-23T17:00:00Z",
    "closed": None,
    "reported_at": None,
    "stale": False,
    "spent": 0,
    "reserved": 0,
}
WALLET: dict[str, Any] = {
    "provider": "sim",
    "never": None,
    "account_status": None,
    "closed": None,
    "polled_at": None,
    "next_poll_at": None,
    "faults": {},
}
RECEIPTS: dict[str, Any] = {
    "provider": "sim",
    "never": None,
    "waiting": 0,
    "due": 0,
    "slowed_until": None,
    "days": 7,
    "receipted": 0,
    "given_up": 0,
    "never_comes": 0,
    "set_aside": [],
    "ghost_spend": GhostSpend(calls=0, amount=Money.of(0), items=[]),
    "extra_usage": [],
}


@dataclass
class World:
    """Those who know, and what they say."""

    connection: Connection
    ledger: RedisLedger
    spent: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[list[str], int]] = field(default_factory=list)
    quota: dict[str, Any] = field(default_factory=lambda: dict(QUOTA))
    closed: str | None = None
    drift: list[DriftRow] = field(default_factory=list)
    waiting: int = 0

    def sources(self) -> AlertSources:
        return AlertSources(
            settings=Settings(archive=ArchiveSettings(backlog_max=10)),
            ledger=self.ledger,
            schedule=Schedule(self.connection, self.ledger.keys, self.ledger.now_ms),
            rulebook=lambda: RULEBOOK,
            standings=self.standings,
            refusals=self.refusals,
            wallets=self.wallets,
            receipts=self.receipts,
            backlog=self.backlog,
        )

    async def standings(self) -> Sequence[Standing]:
        at = place(BUDGET, "", self.ledger.now_ms())
        one = Standing(
            budget="research",
            subject="",
            unit="USD",
            mode="enforce",
            limit=100 * USD,
            spent=self.spent,
            reserved=0,
            overrun=0,
            start_ms=at.start_ms,
            end_ms=at.end_ms,
            window="day",
        )
        return [one, replace(one, budget="wallet.sim.5_hour", spent=100 * USD)]

    async def refusals(self, counters: Sequence[str], since_ms: int) -> Mapping[str, int]:
        self.asked.append((list(counters), since_ms))
        return self.refused

    async def wallets(self) -> Sequence[WalletRow]:
        return [WalletRow(**WALLET | {"closed": self.closed}, quotas=[QuotaRow(**self.quota)])]

    async def receipts(self) -> Sequence[ReceiptsRow]:
        return [ReceiptsRow(**RECEIPTS, drift=self.drift)]

    async def backlog(self) -> int:
        return self.waiting


@pytest.fixture
def world(connection: Connection, redis_ledger: RedisLedger) -> World:
    return World(connection, redis_ledger)


async def test_a_budget_of_the_policies_passes_its_threshold(world: World) -> None:
    world.spent = 50 * USD

    (alert,) = await world.sources().of_budgets()

    assert (alert.topic, alert.facts["percent"]) == (Topic.BUDGET_THRESHOLD, 50)


async def test_a_budget_that_refuses_is_known_by_its_counter(world: World) -> None:
    world.spent = 95 * USD
    at = place(BUDGET, "", world.ledger.now_ms())
    world.refused = {at.counter: 3}

    _, alert = await world.sources().of_budgets()

    assert (alert.topic, alert.facts["refused_calls"]) == (Topic.BUDGET_EXHAUSTED, 3)
    assert world.asked == [([at.counter], at.start_ms)]


async def test_of_budgets_that_nothing_was_spent_of_nothing_is_asked(world: World) -> None:
    assert await world.sources().of_budgets() == []
    assert world.asked == []


async def test_a_quota_is_low_by_what_is_set(world: World) -> None:
    (alert,) = await world.sources().of_wallets()
    assert alert.topic is Topic.WALLET_LOW

    world.quota["remaining"] = {"nano": 81 * USD, "amount": "81"}
    assert await world.sources().of_wallets() == []

    world.closed = "the account is suspended"
    (alert,) = await world.sources().of_wallets()
    assert "suspended" in alert.text


def drift_row(day: str, billed: int = 144, compared: int = 20) -> DriftRow:
    return DriftRow(
        day=day,
        model="acme/mini",
        receipted=compared,
        receipted_amount=Money.of(billed),
        given_up=0,
        never=0,
        without_receipt_percent=0,
        compared=compared,
        metered=Money.of(100),
        billed=Money.of(billed),
        difference=Money.of(billed - 100),
        difference_percent=float(billed - 100),
    )


async def test_price_lists_that_are_off_today_or_yesterday_are_told(
    world: World, clock: FakeClock
) -> None:
    today, yesterday, before = (
        day_name(world.ledger.now_ms() - back * 86_400_000).removeprefix("sums:")
        for back in range(3)
    )
    world.drift = [
        drift_row(today),
        drift_row(yesterday),
        drift_row(before),
        drift_row(today, billed=110),
        drift_row(today, compared=19),
    ]

    found = await world.sources().of_receipts()

    assert [alert.facts["day"] for alert in found] == [today, yesterday]


async def test_an_archive_that_is_behind_is_told(world: World) -> None:
    world.waiting = 10
    assert await world.sources().of_archive() == []
    world.waiting = 11
    (alert,) = await world.sources().of_archive()
    assert alert.topic is Topic.ARCHIVE_BEHIND
