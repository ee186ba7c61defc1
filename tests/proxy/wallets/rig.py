"""A provider's account that a test holds in its hand, and pollers and gates in front of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import aiohttp

from policies.budgets import Budget
from policies.decisions import Admitted, Decision, Standing
from policies.ledger.interface import Admission, Ask, Ledger
from policies.ledger.keys import Keys
from policies.units import Amounts
from proxy.billing_settings import WalletSettings
from proxy.providers.connection import Upstream
from proxy.providers.interface import Target
from proxy.wallets.adapters.catalog import build_wallet
from proxy.wallets.gate import WalletGate
from proxy.wallets.poll import WalletPoll
from proxy.wallets.quota import WalletAdapter
from proxy.wallets.store import Stored, WalletStore
from proxy.wallets.wallet import Wallet
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_commands import FakeCommands
from tests.doubles.fake_upstream import FakeAnswer
from tests.proxy.wallets.documents import MANAGEMENT, SUBSCRIPTION, body, detail, settings

#: What one path answers: a document, an answer, a fault, or whatever makes one of these.
Answer = dict[str, Any] | FakeAnswer | BaseException
DETAIL = "/api/v1/management/subscription/detail"
BALANCE = "/api/v1/management/payg/balance"
RATE = "/api/v1/management/flow_rate"


class Account(Upstream):
    """Answers GETs by their paths, and notes them."""

    def __init__(self, clock: FakeClock, **answers: Answer) -> None:
        super().__init__(connect_timeout_s=1, idle_timeout_s=1)
        self._clock = clock
        self.answers: dict[str, Answer | Callable[[], Answer]] = {DETAIL: detail()}
        #: Every path that was asked for, and when.
        self.asked: list[tuple[str, int]] = []
        #: What happens while the provider works on its answer.
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    async def send(
        self, target: Target, headers: list[tuple[str, str]], body_: bytes | None
    ) -> aiohttp.ClientResponse:
        assert (target.method, body_) == ("GET", None)
        self.asked.append((target.url.path, self._clock.now_ms()))
        found = self.answers.get(target.url.path, FakeAnswer(b"{}", status=404))
        answer = found() if callable(found) else found
        if self.meanwhile is not None:
            await self.meanwhile()
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, dict):
            answer = FakeAnswer(body(answer))
        return answer.as_answer()


class MemoryStore(WalletStore):
    """A `WalletStore` in plain dicts."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(FakeCommands(), Keys("memory"))
        self._clock = clock
        self._kept: dict[str, Stored] = {}
        self._claims: dict[str, tuple[str, int]] = {}

    async def load(self, provider: str) -> Stored:
        return self._kept.get(provider, Stored(Wallet(), 0))

    async def load_all(self, providers: Iterable[str]) -> Mapping[str, Stored]:
        return {provider: await self.load(provider) for provider in providers}

    async def claim(self, provider: str, token: str, for_ms: int) -> bool:
        now_ms = self._clock.now_ms()
        if provider in self._claims and now_ms < self._claims[provider][1]:
            return False
        self._claims[provider] = (token, now_ms + for_ms)
        return True

    async def keep(self, provider: str, token: str, wallet: Wallet) -> bool:
        if not await self.release(provider, token):
            return False
        kept = await self.load(provider)
        self._kept[provider] = kept._replace(wallet=wallet)
        return True

    async def release(self, provider: str, token: str) -> bool:
        owner, until_ms = self._claims.get(provider, ("", 0))
        if owner != token or self._clock.now_ms() >= until_ms:
            return False
        del self._claims[provider]
        return True

    async def nudge(self, provider: str, at_ms: int, reason: str) -> None:
        kept = await self.load(provider)
        self._kept[provider] = kept._replace(nudged_at_ms=at_ms, refused=reason)


class Witness:
    """Keeps what observers of wallets are told."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self.polled = 0

    def wallet_polled(self, provider: str, wallet: Wallet) -> None:
        self.polled += 1

    def wallet_poll_failed(
        self, provider: str, request: str, fault: str, *, repeated: bool
    ) -> None:
        self.events.append(("failed", request, fault, repeated))

    def wallet_status(self, provider: str, status: str) -> None:
        self.events.append(("status", status))

    def wallet_closed(self, provider: str, quota: str, reason: str) -> None:
        self.events.append(("closed", quota, reason))

    def wallet_opened(self, provider: str, quota: str) -> None:
        self.events.append(("opened", quota))

    def take(self, kind: str = "") -> list[tuple[object, ...]]:
        """Return the events so far, or those of a kind, and forget all."""
        found = [event for event in self.events if not kind or event[0] == kind]
        self.events = []
        return found


class Rig:
    """One organisation with one provider, `acme`, and as many replicas as a test wants."""

    def __init__(
        self,
        clock: FakeClock,
        ledger: Ledger,
        store: WalletStore,
        *,
        api_key: str = SUBSCRIPTION,
        kind: str = "agipower",
        provider: Mapping[str, Any] | None = None,
        **wallets: Any,
    ) -> None:
        self.clock = clock
        self.ledger = ledger
        self.store = store
        self.account = Account(clock)
        self.upstream: Upstream = self.account
        self.settings = WalletSettings.model_validate(wallets)
        self.adapter = adapter_of(kind, api_key, **(provider or {}))
        self.witness = Witness()
        self.rates: list[tuple[str, str, Decimal]] = []
        self.random = 0.5
        self.poll = self.poller()
        self.gate = self.worker()
        self._calls = 0

    def poller(self, *, adapter: WalletAdapter | None = None, timeout_s: float = 5) -> WalletPoll:
        """Return one more replica's poll."""
        return WalletPoll(
            providers={"acme": adapter or self.adapter},
            upstream=self.upstream,
            ledger=self.ledger,
            store=self.store,
            settings=self.settings,
            random=lambda: self.random,
            observer=self.witness,
            timeout_s=timeout_s,
        )

    def worker(self, **providers: WalletAdapter | None) -> WalletGate:
        """Return what one more worker keeps in memory."""
        return WalletGate(
            providers=providers or {"acme": self.adapter},
            ledger=self.ledger,
            store=self.store,
            settings=self.settings,
            set_rate=lambda *rate: self.rates.append(rate),
            observer=self.witness,
        )

    async def polled(self, *, after_ms: int = 0) -> bool:
        """Let time pass, poll if that is due, and let the worker see it."""
        self.clock.advance(after_ms)
        done = await self.poll.poll_if_due("acme")
        await self.gate.refresh()
        return done

    async def wallet(self) -> Wallet:
        return (await self.store.load("acme")).wallet

    async def standing(self, quota: str, worker: WalletGate | None = None) -> Standing:
        """Return how a quota's counter stands."""
        budgets = {b.name: (b, subject) for b, subject in (worker or self.gate).budgets("acme")}
        budget, subject = budgets[f"wallet.acme.{quota}"]
        (found,) = await self.ledger.standings(
            [Ask(budget=budget, subject=subject, held=0, bound=0)]
        )
        return found

    async def call(
        self, cost: int, unit: str = "flows", worker: WalletGate | None = None
    ) -> Decision:
        """Ask for room for a call of this cost on all of the provider's budgets."""
        self._calls += 1
        asks = [ask(each, cost, unit) for each in (worker or self.gate).budgets("acme")]
        return await self.ledger.reserve(
            f"call_{self._calls}", asks, data="{}", admission=Admission.DECIDE
        )

    async def passes(self, cost: int, unit: str = "flows") -> bool:
        """Tell whether a call of this cost would pass; it is let go again."""
        decision = await self.call(cost, unit)
        if isinstance(decision, Admitted):
            await self.ledger.release(decision.reservation, outcome="{}")
        return isinstance(decision, Admitted)

    async def spend(self, cost: int, unit: str = "flows") -> None:
        """Make a call that costs this much."""
        decision = await self.call(cost, unit)
        assert isinstance(decision, Admitted), decision
        amounts = spent(cost, unit)
        await self.ledger.settle(decision.reservation, amounts, outcome="{}")

    async def journalled(self) -> list[str]:
        """Return the kinds of what was journalled about wallets, in order."""
        entries = await self.ledger.journal(count_max=1_000)
        return [entry.kind for entry in entries if entry.kind.startswith("wallet")]


def adapter_of(kind: str = "agipower", api_key: str = SUBSCRIPTION, **more: Any) -> WalletAdapter:
    fields = {"base_url": "http://acme.test", "management_key": MANAGEMENT, **more}
    adapter = build_wallet(settings(kind, api_key=api_key, **fields))
    assert adapter is not None
    return adapter


def ask(charged: tuple[Budget, str], cost: int, unit: str) -> Ask:
    budget, subject = charged
    held = spent(cost, unit).of(budget.unit)
    return Ask(budget=budget, subject=subject, held=held, bound=held)


def spent(cost: int, unit: str) -> Amounts:
    return Amounts(nano_usd=cost) if unit == "USD" else Amounts(credits={unit: cost})
