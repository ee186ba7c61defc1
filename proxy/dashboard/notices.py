"""What deserves a look now: wallets that run low, receipts that do not come, alerts of the last day."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from proxy.admin.schemas import Amount, QuotaRow, ReceiptsRow, WalletRow
from proxy.archive.chain import ChainedEntry
from proxy.dashboard.forecast import Tone
from proxy.dashboard.wording import percent, short, stamp

#: Below this share of its limit, a wallet is low.
LOW_PERCENT: Final = 10
#: As the journal names alerts.
ALERT: Final = "alert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to look at."""

    tone: Tone
    text: str
    #: Where more is said.
    address: str


def of_wallets(wallets: Iterable[WalletRow]) -> list[Notice]:
    """Return what is wrong with accounts at providers."""
    found = []
    for wallet in wallets:
        if wallet.closed is not None:
            text = f"Wallet {wallet.provider} is closed: {wallet.closed}"
            found.append(Notice(tone="bad", text=text, address="/wallets"))
        found += [notice for quota in wallet.quotas if (notice := _of_quota(wallet, quota))]
        if wallet.faults:
            text = f"Wallet {wallet.provider} does not tell: {'; '.join(wallet.faults.values())}"
            found.append(Notice(tone="warn", text=text, address="/wallets"))
    return found


def of_receipts(receipts: Iterable[ReceiptsRow]) -> list[Notice]:
    """Return what is wrong with receipts."""
    found = []
    for row in receipts:
        if row.ghost_spend.calls:
            amount = short("USD", row.ghost_spend.amount.nano_usd)
            text = f"{row.provider} billed {amount} that no call of ours explains"
            found.append(Notice(tone="warn", text=text, address="/receipts#ghosts"))
        if row.given_up:
            text = f"{_counted(row.given_up, 'call')} at {row.provider} without a receipt that should have come"
            found.append(Notice(tone="warn", text=text, address="/receipts"))
        if row.set_aside:
            text = f"{_counted(len(row.set_aside), 'receipt')} of {row.provider} set aside as implausible"
            found.append(Notice(tone="warn", text=text, address="/receipts"))
    return found


def of_alerts(entries: Sequence[ChainedEntry]) -> list[Notice]:
    """Return alerts as the journal has them."""
    return [
        Notice(
            tone="warn",
            text=f"{alert_text(object_of(entry.data))} ({stamp(entry.at_ms)} UTC)",
            address=f"/audit?kind={ALERT}",
        )
        for entry in entries
    ]


def alert_text(data: Mapping[str, Any]) -> str:
    """Return what an alert says."""
    for name in ("text", "message", "title"):
        if isinstance(data.get(name), str) and data[name]:
            return str(data[name])
    return " ".join(str(data[name]) for name in ("alert", "budget", "threshold") if name in data)


def object_of(text: str) -> dict[str, Any]:
    """Return what a JSON text of the journal says; what is no object says nothing."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def amount_of(amount: Amount | None) -> int | None:
    """Return an amount of the admin API as a whole number, in nano-units where it has them."""
    if amount is None or isinstance(amount, int):
        return amount
    return int(amount.get("nano_usd", amount.get("nano", 0)))


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def _of_quota(wallet: WalletRow, quota: QuotaRow) -> Notice | None:
    limit, remaining = amount_of(quota.limit), amount_of(quota.remaining)
    if quota.closed is not None and wallet.closed is None:
        text = f"Quota {quota.name} at {wallet.provider} is closed: {quota.closed}"
        return Notice(tone="bad", text=text, address="/wallets")
    if limit is None or remaining is None or remaining * 100 > limit * LOW_PERCENT:
        return None
    text = f"Quota {quota.name} at {wallet.provider} is low: {percent(remaining, limit)} left"
    return Notice(tone="warn", text=text, address="/wallets")
