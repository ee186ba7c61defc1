"""An account, calls of ours that explain some of its bill, and replicas that compare both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from policies.budgets import Budget
from policies.clock import utc
from policies.ledger.interface import Ask, Ledger
from policies.ledger.keys import Keys
from policies.money import EXACT_MAX
from policies.windows import Lifetime
from proxy.billing_settings import ReceiptSettings
from proxy.receipts.account_totals import AccountTotals, Compared
from proxy.receipts.accounts import Account
from proxy.receipts.adapters.agipower_totals import AgiPowerTotals
from proxy.receipts.billed_hours import BilledHours
from proxy.receipts.ghosts import Ghost, Ghosts
from tests.doubles.fake_clock import FakeClock
from tests.proxy.receipts.adapters.configured import Configured
from tests.proxy.receipts.breaking import BreakingCommands, BreakingLedger, Commands, Steps
from tests.proxy.receipts.fake_totals import CONFIGURED, OWN_KEY, Billed, FakeTotals

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
BUDGET = Budget(name="unattributed", unit="USD", limit=EXACT_MAX, window=Lifetime(), mode="shadow")
PLAIN = Account(name="agi", providers=("agi",))


class Told:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []

    def ghost_found(self, ghost: Ghost) -> None:
        self.events.append(("ghost", ghost.nano_usd))

    def ghost_set_aside(self, provider: str, ghost_id: str, reason: str) -> None:
        self.events.append(("set aside", ghost_id, reason))

    def history_failed(self, provider: str, reason: str) -> None:
        self.events.append(("failed", reason))

    def receipts_slowed(self, provider: str, for_ms: int) -> None:
        self.events.append(("slowed", for_ms))


@dataclass
class World:
    """What a test moves."""

    clock: FakeClock
    commands: Commands
    ledger: Ledger
    organization: str
    account: Account = PLAIN
    configured: Configured = CONFIGURED
    settings: ReceiptSettings = field(default_factory=ReceiptSettings)
    #: When the calls were reserved that are not decided yet.
    waiting_ms: list[int] = field(default_factory=list)
    steps: Steps = field(default_factory=Steps)
    #: What observers were told.
    told: Told = field(default_factory=Told)

    def __post_init__(self) -> None:
        self.keys = Keys(self.organization)
        self.provider = FakeTotals(self.clock.now_ms)
        self.breaking = BreakingCommands(self.commands, self.steps)
        broken = BreakingLedger(self.ledger, self.steps)
        self.ghosts = Ghosts(broken, self.breaking, self.keys, lambda: BUDGET)

    def replica(self, **fields: Any) -> AccountTotals:
        """Another process that compares."""
        account = fields.get("account", self.account)
        hours = BilledHours(
            AgiPowerTotals(fields.get("configured", self.configured)),
            self.provider,
            self.breaking,
            self.keys,
            account=account.name,
            ghost_after_ms=self.settings.ghost_after_ms,
            timeout_ms=self.settings.timeout_ms,
            now_ms=self.clock.now_ms,
        )
        return AccountTotals(
            account,
            hours=hours,
            undecided_ms=self._undecided_ms,
            ghosts=self.ghosts,
            commands=self.breaking,
            keys=self.keys,
            settings=self.settings,
            observer=self.told,
        )

    async def _undecided_ms(self) -> int | None:
        return min(self.waiting_ms, default=None)

    async def poll(self, replica: AccountTotals | None = None) -> Compared:
        """Compare now, whoever did so before."""
        await self.unclaim()
        outcome = await (replica or self.replica()).run_once()
        assert isinstance(outcome, Compared), outcome
        return outcome

    async def unclaim(self) -> None:
        """Let the claim of whoever compared last run out."""
        await self.commands.execute("DEL", self.keys.claim(f"totals:{self.account.name}"))

    async def begin(self) -> None:
        """Begin to watch, and let the minute pass in which that was."""
        await self.poll()
        self.clock.advance(MINUTE_MS)

    def bill(self, nano_usd: int, key: str | None = OWN_KEY, at_ms: int | None = None) -> int:
        """Let the provider bill something; return when."""
        at_ms = self.clock.now_ms() if at_ms is None else at_ms
        self.provider.billed.append(Billed(at_ms=at_ms, nano_usd=nano_usd, key=key))
        return at_ms

    async def explain(self, nano_usd: int, at_ms: int, provider: str = "agi") -> None:
        """Book the receipt of a call that was reserved then, as far as sums go."""
        name = self.keys.receipts(provider, f"sums:{utc(at_ms):%Y-%m-%d}")
        minute = f"@{utc(at_ms):%H%M}"
        for field_name, more in (
            (f"{minute}|billed", nano_usd),
            (f"{minute}|calls", 1),
            ("acme/mini|billed", nano_usd),
        ):
            await self.commands.execute("HINCRBY", name, field_name, more)

    async def call(self, nano_usd: int, provider: str = "agi") -> None:
        """Make a call, billed and receipted at once."""
        await self.explain(nano_usd, self.bill(nano_usd), provider)

    async def spent(self) -> int:
        """What the budget for what belongs to nobody counts."""
        ask = Ask(budget=BUDGET, subject="", held=0, bound=0)
        return (await self.ledger.standings([ask]))[0].spent

    async def found(self) -> Sequence[Ghost]:
        """All ghosts, the latest first."""
        return await self.ghosts.list(self.account.name, 0, 1_000)
