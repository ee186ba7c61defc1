"""What providers report of our accounts, with what our own calls came to since: the admin plane's rows."""

from __future__ import annotations

from collections.abc import Mapping

from policies.clock import rfc3339
from policies.decisions import Standing
from policies.ledger.interface import Ask, Ledger
from policies.ledger.keys import Keys
from proxy.admin.schemas import Amount, QuotaRow, WalletRow
from proxy.billing_settings import WalletSettings
from proxy.settings import ProviderSettings
from proxy.standing_rows import amount_json
from proxy.wallets.adapters.catalog import build_wallet
from proxy.wallets.limits import account_closed, budgets_of, window_of
from proxy.wallets.store import Commands, Stored, WalletStore
from proxy.wallets.wallet import KnownQuota, Source, Wallet

NEVER = "no key of it may ask: set {}"
#: Which keys tell of the account, by kind of provider.
_KEYS = {"agipower": "management_key", "venice": "billing_key"}


class WalletRows:
    """Tells of wallets."""

    def __init__(
        self,
        providers: Mapping[str, ProviderSettings],
        settings: WalletSettings,
        *,
        commands: Commands,
        keys: Keys,
        ledger: Ledger,
    ) -> None:
        """Take whose wallets there are, and where they are kept."""
        self._is_asked = {
            name: bool(adapter.targets())
            for name, provider in providers.items()
            if (adapter := build_wallet(provider)) is not None
        }
        self._kinds = {name: provider.kind for name, provider in providers.items()}
        self._settings = settings
        self._store = WalletStore(commands, keys)
        self._ledger = ledger

    async def list(self) -> list[WalletRow]:
        """Return how wallets stand, by provider. Raises `LedgerUnavailable`."""
        found = await self._store.load_all(self._is_asked)
        return [await self._row(name, stored) for name, stored in found.items()]

    async def _row(self, provider: str, stored: Stored) -> WalletRow:
        is_asked = self._is_asked[provider]
        # What was known before its key was taken out of the configuration says nothing any more.
        wallet = stored.wallet if is_asked else Wallet()
        window = window_of(self._settings, is_polled=is_asked)
        asks = [
            Ask(budget=budget, subject=subject, held=0, bound=0)
            for budget, subject in budgets_of(provider, wallet, window)
        ]
        standings = await self._ledger.standings(asks)
        refused = stored.refused if stored.nudged_at_ms >= wallet.began_ms else ""
        closed = account_closed(provider, wallet, self._settings) or refused
        told = [(source, quota) for source in wallet.sources.values() for quota in source.quotas]
        is_closed = all(standing.closed for standing in standings)
        return WalletRow(
            provider=provider,
            never=None if is_asked else NEVER.format(_KEYS.get(self._kinds[provider], "api_key")),
            account_status=wallet.account_status,
            closed=(closed or None) if is_closed else None,
            polled_at=_time(wallet.polled_at_ms),
            next_poll_at=_time(wallet.next_poll_ms) if is_asked else None,
            faults=dict(wallet.faults),
            quotas=[
                self._quota(source, quota, standing, closed)
                for (source, quota), standing in zip(told, standings, strict=bool(told))
            ],
        )

    def _quota(
        self, source: Source, quota: KnownQuota, standing: Standing, refused: str
    ) -> QuotaRow:
        counted = 0 if quota.cycle or not quota.samples else quota.samples[-1][1]
        age_ms = self._ledger.now_ms() - source.began_ms
        is_stale = age_ms > self._settings.stale_after_ms
        reason = (
            refused or quota.closed or ("its report is too old" if is_stale else "it is closed")
        )
        return QuotaRow(
            name=quota.name,
            unit=quota.unit,
            limit=_amount(quota.unit, quota.limit),
            remaining=_amount(quota.unit, quota.remaining),
            resets_at=_time(quota.resets_at_ms or 0),
            closed=reason if standing.closed else None,
            reported_at=_time(source.began_ms),
            stale=is_stale,
            # A receipt may lower what was counted before the report was asked for.
            spent=amount_json(quota.unit, max(0, standing.spent - counted)),
            reserved=amount_json(quota.unit, standing.reserved),
        )


def _amount(unit: str, amount: int | None) -> Amount | None:
    return None if amount is None else amount_json(unit, amount)


def _time(at_ms: int) -> str | None:
    return rfc3339(at_ms) if at_ms else None
