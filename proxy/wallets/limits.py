"""What a provider's report means for calls: how far the ledger's counters may go, and who is refused.

Nothing here asks or waits: functions of what was told and of the settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from policies.budgets import Budget
from policies.money import EXACT_MAX
from policies.units import CALLS
from policies.windows import Reported
from proxy.billing_settings import WalletSettings
from proxy.wallets.quota import Quota
from proxy.wallets.wallet import KnownQuota, Source, Wallet, newest_first

#: The one budget of a provider of whose quotas nothing is known: a refusal of its can close it.
ACCOUNT: Final = "account"
_TITLES: Final = {
    "5_hour": "the 5-hour quota of {}",
    "7_day": "the 7-day quota of {}",
    "month": "the monthly quota of {}",
    "balance": "the balance of {}",
    "key": "the limit of our key at {}",
    ACCOUNT: "the account {}",
}
# A provider resets its quotas by its own clock.
RESET_GRACE_MS: Final = 1_000
# A balance that lags is compared with what was counted so long ago; so many steps are fine enough.
SAMPLES_MAX: Final = 32


# Budgets…


def budget_of(provider: str, quota: str, unit: str, window: Reported) -> Budget:
    """Return the budget by which a quota of a provider gates calls.

    Its limit is the largest that there is: the ledger goes by what is reported.
    """
    return Budget(
        name=budget_prefix(provider) + quota,
        unit=unit,
        limit=EXACT_MAX,
        window=window,
        # The bound must fit all the same; budgets of policies say by themselves what they hold.
        quote="likely",
    )


def budget_prefix(provider: str) -> str:
    """Return what the names of all wallet budgets of a provider begin with."""
    return f"wallet.{provider}."


def window_of(settings: WalletSettings, *, is_polled: bool) -> Reported:
    """Return how a provider's quotas are kept.

    Of a provider that is not asked nothing will ever be known: nobody waits for that.
    """
    return Reported(
        stale_after_ms=settings.stale_after_ms,
        refuse_unknown=is_polled and settings.when_unknown == "refuse",
        refuse_stale=is_polled and settings.when_stale == "refuse",
    )


def budgets_of(
    provider: str, wallet: Wallet | None, window: Reported
) -> tuple[tuple[Budget, str], ...]:
    """Return the budgets that a call of a provider is charged to, each with its subject."""
    quotas = wallet.quotas if wallet is not None else ()
    if not quotas:
        return ((budget_of(provider, ACCOUNT, CALLS, window), ""),)
    return tuple((budget_of(provider, q.name, q.unit, window), q.cycle) for q in quotas)


# Limits…


def kept(quota: KnownQuota, keep_percent: int) -> int:
    """Return what is never used of a quota, in its unit: a share of its cap, or of its best days."""
    whole = quota.highest if quota.limit is None else quota.limit
    return -(-whole * keep_percent // 100)


def room(quota: KnownQuota, keep_percent: int) -> int | None:
    """Return what calls may come to beyond what the provider has counted; None: it does not say."""
    left = quota.limit if quota.cycle else quota.remaining
    return None if left is None else max(0, left - kept(quota, keep_percent))


def limit_of(quota: KnownQuota, keep_percent: int) -> int | None:
    """Return how far the ledger's counter may go; None: that is not known.

    The counter goes up for ever. What it had counted when we asked is behind us; a bill that is late
    is counted beside what remains. A quota of which only the cap is told has a counter for each cycle.
    """
    left = room(quota, keep_percent)
    if left is None:
        return None
    return min(EXACT_MAX, left if quota.cycle else left + counted_before(quota))


def in_passing_limit(quota: KnownQuota, remaining: int, spent: int, keep_percent: int) -> int:
    """Return how far the counter may go by what an answer's headers told.

    Args:
        quota: as it was reported last.
        remaining: what was left before the call, by the headers.
        spent: what the ledger had counted when the call passed.
        keep_percent: how much of it is never used.
    """
    told = msgspec.structs.replace(
        quota,
        remaining=remaining,
        highest=max(quota.highest, remaining),
        samples=((0, spent),),
    )
    return limit_of(told, keep_percent) or 0


def counted_before(quota: KnownQuota) -> int:
    """Return what of ours the reported amount has taken in for sure."""
    if not quota.samples:
        return 0
    # A counter that went down was put back from a copy, or billed less than it was charged.
    return max(0, min(quota.samples[0][1], quota.samples[-1][1]))


def known(
    quota: Quota, former: KnownQuota | None, *, asked_ms: int, counted: int, lag_ms: int
) -> KnownQuota:
    """Return a quota as it is reported now, with what of the former report matters still.

    Args:
        quota: as reported.
        former: the same quota as reported before.
        asked_ms: when it was asked for.
        counted: what the ledger had counted of ours before that.
        lag_ms: how late bills may be that reach a balance which lags.
    """
    if former is None or (former.unit, former.cycle) != (quota.unit, quota.cycle):
        former = KnownQuota(name=quota.name, unit=quota.unit)
    samples: tuple[tuple[int, int], ...] = ((asked_ms, counted),)
    if quota.lags:
        samples = _samples(former.samples, asked_ms, counted, lag_ms)
    return KnownQuota(
        name=quota.name,
        unit=quota.unit,
        limit=quota.limit,
        remaining=quota.remaining,
        resets_at_ms=quota.resets_at_ms,
        cycle=quota.cycle,
        lags=quota.lags,
        partly_in_passing=quota.partly_in_passing,
        highest=max(former.highest, quota.remaining or 0),
        samples=samples,
    )


def _samples(
    former: Sequence[tuple[int, int]], asked_ms: int, counted: int, lag_ms: int
) -> tuple[tuple[int, int], ...]:
    """Return samples of which the first is the newest that is old enough, or the oldest there is."""
    now = (asked_ms, counted)
    # The last one always says how the counter stands now; those before are a step apart.
    steps = list(former)
    if len(steps) > 1 and steps[-1][0] - steps[-2][0] < lag_ms // SAMPLES_MAX:
        steps.pop()
    samples = [*steps, now]
    old = sum(at_ms <= asked_ms - lag_ms for at_ms, _ in samples)
    return tuple(samples[max(0, old - 1) :])


# Reasons…


def title(provider: str, quota: str) -> str:
    """Return a quota's name within a sentence: `the 5-hour quota of 'agipower'`."""
    return _TITLES.get(quota, f"the quota {quota} of {{}}").format(f"'{provider}'")


def used_up(provider: str, quota: KnownQuota, keep_percent: int) -> str:
    """Return why a quota lets no call pass, by what it reports; empty: it has room, or tells no use."""
    if quota.cycle or room(quota, keep_percent) != 0:
        return ""
    rest = f", but for the {keep_percent}% that is kept" if quota.remaining else ""
    return f"{title(provider, quota.name)} is used up{rest}"


def account_closed(provider: str, wallet: Wallet, settings: WalletSettings) -> str:
    """Return why the account pays for no call, whatever its quotas say; empty: it does."""
    for source in newest_first(wallet.sources.values()):
        if source.closed:
            return f"account '{provider}' {source.closed}"
    if wallet.account_status == "abusive" and settings.when_abusive == "refuse":
        return f"account '{provider}' is abusive"
    return ""


def next_ms(source: Source, regular_ms: int, now_ms: int, keep_percent: int) -> int:
    """Return when a request is sent again: sooner where a used-up quota is full again before that."""
    resets = (
        quota.resets_at_ms + RESET_GRACE_MS
        for quota in source.quotas
        if quota.resets_at_ms is not None
        and quota.resets_at_ms + RESET_GRACE_MS > now_ms
        and room(quota, keep_percent) == 0
    )
    return min([regular_ms, *resets])
