"""Asking providers for their quotas: one replica for all of them, the ledger and the others are told.

A quota's limit in the ledger is what remains by the report, and what the ledger had counted of ours
before that was asked for. So what is counted from then on, by any replica, uses up what remains.
What the provider has taken in already may be counted twice for a while; nothing is left out.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Protocol, assert_never

import msgspec

from policies.errors import LedgerUnavailable
from policies.ledger.interface import Ledger
from proxy.billing_settings import WalletSettings
from proxy.providers.connection import Upstream, UpstreamFailed, read_whole
from proxy.providers.interface import Target
from proxy.wallets import reports
from proxy.wallets.adapters.catalog import TELLS_RATE_ALONE
from proxy.wallets.limits import next_ms
from proxy.wallets.quota import Reading, Report, SlowDown, Unavailable, Unreadable, WalletAdapter
from proxy.wallets.reports import Reports
from proxy.wallets.store import Stored, WalletStore
from proxy.wallets.wallet import (
    KnownQuota,
    Source,
    Wallet,
    begun,
    due_ms,
    is_nudged,
    slowed,
    source_due_ms,
    with_source,
)

LOOK_EVERY_S: Final = 1.0
TIMEOUT_S: Final = 30.0
#: The largest answer, Venice's rate limits by model, has some ten kilobytes.
ANSWER_BYTES_MAX: Final = 1024 * 1024
#: A share of the interval, either way, so that providers and deployments do not fall into step.
JITTER: Final = 0.1
#: How soon something is asked for again that the provider does not have for this account or key.
UNAVAILABLE_AGAIN_MS: Final = 1_800_000
# Beyond the time-outs of its requests, a poll has only the ledger to wait for.
_CLAIM_GRACE_MS: Final = 15_000
_WANTS_FEWER: Final = "the provider wants fewer requests"


class Observer(reports.Observer, Protocol):
    """Whoever wants to know of wallets."""

    def wallet_polled(self, provider: str, wallet: Wallet) -> None:
        """A provider told of its wallet: for gauges."""
        ...

    def wallet_poll_failed(
        self, provider: str, request: str, fault: str, *, repeated: bool
    ) -> None:
        """A request told nothing, and what was known stays.

        Args:
            provider: who was asked.
            request: the adapter's name for what was asked.
            fault: why it told nothing.
            repeated: whether that was so before: it is to be counted, and was logged.
        """
        ...


@dataclass(slots=True)
class _Round:
    """One poll of one provider, as far as it has come."""

    wallet: Wallet
    #: When requests are sent again if nothing happens.
    regular_ms: int
    sent: int = 0
    #: Requests that told something.
    told: set[str] = field(default_factory=set)
    #: Requests that told nothing, why, and whether that was so before.
    faults: list[tuple[str, str, bool]] = field(default_factory=list)


class WalletPoll:
    """Polls every provider that reports quotas, as often as is set, and sooner when it matters."""

    def __init__(
        self,
        *,
        providers: Mapping[str, WalletAdapter],
        upstream: Upstream,
        ledger: Ledger,
        store: WalletStore,
        settings: WalletSettings,
        random: Callable[[], float],
        observer: Observer,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Take whom to ask.

        Args:
            providers: by the names that the configuration gives them.
            upstream: sends the requests.
            ledger: is told the limits; its clock is the one that all replicas share.
            store: what the replicas share.
            settings: the section `wallets` of the configuration.
            random: returns numbers from 0 up to 1.
            observer: is told what happens.
            timeout_s: for one answer, all of it.
        """
        self._adapters = providers
        self._upstream = upstream
        self._ledger = ledger
        self._store = store
        self._settings = settings
        self._random = random
        self._observer = observer
        self._timeout_s = timeout_s
        self._reports = Reports(ledger, settings, observer)
        self._token = secrets.token_hex(8)
        self._targets: dict[str, Sequence[tuple[str, Target]]] = {
            name: targets for name, adapter in providers.items() if (targets := adapter.targets())
        }

    async def run(self) -> None:
        """Poll until cancelled; a provider that hangs keeps no other waiting."""
        await asyncio.gather(*(self._keep(provider) for provider in self._targets))

    async def _keep(self, provider: str) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with suppress(LedgerUnavailable):  # Without a ledger nobody could use the answer.
                await self.poll_if_due(provider)

    async def poll_if_due(self, provider: str) -> bool:
        """Poll a provider, if that is due and no other replica does it; return whether it was done.

        Raises:
            LedgerUnavailable: what the provider told may have come to nothing.
        """
        if not self._is_due(provider, await self._store.load(provider)):
            return False
        claim_ms = int(len(self._targets[provider]) * self._timeout_s * 1000) + _CLAIM_GRACE_MS
        if not await self._store.claim(provider, self._token, claim_ms):
            return False
        try:
            # Whoever had the claim until now has polled.
            stored = await self._store.load(provider)
            is_due = self._is_due(provider, stored)
            if is_due:
                await self._poll(provider, stored)
            return is_due
        finally:
            with suppress(LedgerUnavailable):  # Then the claim runs out by itself.
                await self._store.release(provider, self._token)

    # When…

    def _is_due(self, provider: str, stored: Stored) -> bool:
        now_ms = self._ledger.now_ms()
        return self._lies_ahead(stored.wallet) or now_ms >= self._due_ms(provider, stored)

    def _lies_ahead(self, wallet: Wallet) -> bool:
        """Tell whether the last poll was made by a clock that was set back since."""
        return wallet.asked_ms > self._ledger.now_ms() + self._settings.every_ms

    def _due_ms(self, provider: str, stored: Stored) -> int:
        digests = {
            name: _digest(target)
            for name, target in self._targets[provider]
            if not _is_spared(name, stored.wallet)
        }
        return due_ms(stored.wallet, stored.nudged_at_ms, digests, self._settings.every_ms)

    # One poll…

    async def _poll(self, provider: str, stored: Stored) -> None:
        now_ms, names = self._ledger.now_ms(), {name for name, _ in self._targets[provider]}
        jitter = 1 + JITTER * (2 * self._random() - 1)
        found = _Round(
            begun(
                stored.wallet,
                names,
                now_ms,
                nudged=is_nudged(stored.wallet, stored.nudged_at_ms),
                afresh=self._lies_ahead(stored.wallet),
            ),
            regular_ms=now_ms + int(self._settings.every_ms * jitter),
        )
        await self._ask_all(provider, found)
        wallet, taken = await self._reports.tell(provider, found.wallet, found.told)
        if found.told:
            wallet = msgspec.structs.replace(
                wallet, began_ms=wallet.asked_ms, polled_at_ms=self._ledger.now_ms()
            )
        due = self._due_ms(provider, Stored(wallet, 0))
        wallet = msgspec.structs.replace(wallet, next_poll_ms=due)
        if await self._store.keep(provider, self._token, wallet):
            await self._reports.journal(provider, wallet, found.told, taken)
        if found.told:
            self._observer.wallet_polled(provider, wallet)
        for request, fault, repeated in found.faults:
            self._observer.wallet_poll_failed(provider, request, fault, repeated=repeated)

    async def _ask_all(self, provider: str, found: _Round) -> None:
        """Send what is due, one after the other, until the provider wants to be left alone."""
        known = found.wallet.sources

        def turn(request: tuple[str, Target]) -> tuple[bool, int]:
            return request[0] in TELLS_RATE_ALONE, known.get(request[0], Source()).turn_ms

        for name, target in sorted(self._targets[provider], key=turn):
            due = source_due_ms(found.wallet, name, _digest(target), self._settings.every_ms)
            if due > self._ledger.now_ms() or _is_spared(name, found.wallet):
                continue
            source = found.wallet.sources.get(name, Source())
            # What is counted from here on comes on top of the answer, whether it is in there or not.
            counted = await self._reports.counted(provider, source.quotas)
            began_ms = self._ledger.now_ms()
            reading = await self._ask(provider, name, target)
            if isinstance(reading, Report):
                quotas = await self._reports.known(
                    provider, reading.quotas, source.quotas, counted, began_ms
                )
                source = _told(reading, began_ms, quotas)
                again_ms = next_ms(
                    source, found.regular_ms, self._ledger.now_ms(), self._settings.keep
                )
                found.told.add(name)
                found.wallet = msgspec.structs.replace(found.wallet, slow_ms=0)
            else:
                source, again_ms = self._untold(found, name, source, reading)
            found.sent += 1
            source = msgspec.structs.replace(source, digest=_digest(target), next_ms=again_ms)
            found.wallet = with_source(found.wallet, name, source)
            if isinstance(reading, SlowDown):
                return

    def _untold(
        self, found: _Round, name: str, source: Source, reading: SlowDown | Unreadable | Unavailable
    ) -> tuple[Source, int]:
        """Return what is known of a request that told nothing, as before, and when it is sent again."""
        now_ms, fault = self._ledger.now_ms(), ""
        turn_ms, again_ms = now_ms, found.regular_ms
        match reading:
            case SlowDown(wait_ms=wait_ms):
                found.wallet = slowed(found.wallet, now_ms, wait_ms)
                fault, again_ms = _WANTS_FEWER, found.wallet.slow_until_ms
                # If others took its turn, it is first the next time.
                turn_ms = source.turn_ms if found.sent else now_ms
            case Unreadable(reason=fault):
                pass
            case Unavailable(reason=fault):
                again_ms = now_ms + UNAVAILABLE_AGAIN_MS
            case unreachable:
                assert_never(unreachable)
        found.faults.append((name, fault, fault == source.fault))
        is_unavailable = isinstance(reading, Unavailable)
        untold = msgspec.structs.replace(
            source, fault=fault, turn_ms=turn_ms, is_unavailable=is_unavailable
        )
        return untold, again_ms

    async def _ask(self, provider: str, name: str, target: Target) -> Reading:
        """Send one request and read its answer within bounds."""
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._upstream.send(target, list(target.headers), None)
                try:
                    body = await read_whole(answer, ANSWER_BYTES_MAX)
                except BaseException:
                    answer.close()
                    raise
                answer.release()
        except TimeoutError:
            return Unreadable(f"no whole answer came within {self._timeout_s:g} seconds")
        except UpstreamFailed as fault:
            return Unreadable(str(fault))
        return self._adapters[provider].read(name, answer.status, answer.headers, body)


def _told(report: Report, began_ms: int, quotas: tuple[KnownQuota, ...]) -> Source:
    return Source(
        began_ms=began_ms,
        turn_ms=began_ms,
        quotas=quotas,
        account_status=report.account_status,
        closed=report.closed,
        usd_per_credit=dict(report.usd_per_credit),
    )


def _is_spared(name: str, wallet: Wallet) -> bool:
    """Tell whether a request would only tell what another one has told."""
    credit = TELLS_RATE_ALONE.get(name)
    return credit is not None and any(
        credit in source.usd_per_credit
        for other, source in wallet.sources.items()
        if other != name and not source.is_unavailable
    )


def _digest(target: Target) -> str:
    """Return what tells one request from another, its key among that, and tells no key."""
    said = f"{target.method} {target.url} {target.headers!r}"
    return sha256(said.encode("utf-8", "replace")).hexdigest()[:16]
