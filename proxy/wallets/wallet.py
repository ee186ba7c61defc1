"""What is known of one provider's wallet, as all replicas share it, and when to ask for more.

Nothing here asks or waits: functions of what was told, the settings and the time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

# After a call was refused, the wallet is asked for; and ever later, while calls are refused again
# though the wallet says that they would not be.
NUDGE_GAP_MS: Final = 2_000
# So much later a poll begins after the refusal by the clock of any replica: else it opens nothing.
NUDGE_AFTER_MS: Final = 250
_DOUBLINGS_MAX: Final = 16
#: How long a provider is left alone that wants fewer requests and does not say how long.
SLOW_MS_MIN: Final = 30_000
SLOW_MS_MAX: Final = 900_000
_SLOW_MS_TOLD_MIN: Final = 1_000


class KnownQuota(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One quota as it was reported last; amounts are nano-units of `unit`. See `Quota`."""

    name: str
    unit: str
    limit: int | None = None
    remaining: int | None = None
    resets_at_ms: int | None = None
    cycle: str = ""
    lags: bool = False
    partly_in_passing: bool = False
    #: The most that ever remained: what is kept of a balance is a share of that.
    highest: int = 0
    #: When we asked, and what the ledger had counted of ours by then; oldest first.
    samples: tuple[tuple[int, int], ...] = ()
    #: Why calls are refused whatever they cost; empty: they are not.
    closed: str = ""


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one request told, and when it is sent again."""

    #: Tells this request from one to another address or with another key.
    digest: str = ""
    #: When that was asked for which is known; 0: nothing is.
    began_ms: int = 0
    next_ms: int = 0
    #: When it had its turn last: whoever waits longest is first. A provider that takes one request
    #: and not the next would otherwise take the same one each time.
    turn_ms: int = 0
    quotas: tuple[KnownQuota, ...] = ()
    account_status: str | None = None
    #: As in `Report`.
    closed: str = ""
    usd_per_credit: dict[str, str] = msgspec.field(default_factory=dict)
    #: Why it was not told the last time; empty: it was.
    fault: str = ""
    #: The provider has no such thing for us; it is asked for rarely.
    is_unavailable: bool = False


class Wallet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that one provider told; times are by the ledger's clock."""

    sources: dict[str, Source] = msgspec.field(default_factory=dict)
    #: When the last poll began, whatever came of it.
    asked_ms: int = 0
    #: When the last poll began that was told something, and when it ended.
    began_ms: int = 0
    polled_at_ms: int = 0
    #: The provider wants to be left alone until then; for twice as long each time that it tells nothing.
    slow_until_ms: int = 0
    slow_ms: int = 0
    #: Polls since the last regular one that came early because a call was refused.
    nudges: int = 0
    #: For readers; `due_ms` decides.
    next_poll_ms: int = 0

    @property
    def quotas(self) -> tuple[KnownQuota, ...]:
        """All quotas, whichever request told them."""
        return tuple(quota for source in self.sources.values() for quota in source.quotas)

    @property
    def account_status(self) -> str | None:
        """The account's state, as told last; None: nothing tells it."""
        told = (source.account_status for source in newest_first(self.sources.values()))
        return next((status for status in told if status is not None), None)

    @property
    def usd_per_credit(self) -> Mapping[str, str]:
        """US dollars for one credit, as decimal text, by the credit's name."""
        rates: dict[str, str] = {}
        for source in newest_first(self.sources.values()):
            for credit, rate in source.usd_per_credit.items():
                rates.setdefault(credit, rate)
        return rates

    @property
    def faults(self) -> Mapping[str, str]:
        """What could not be had the last time, by the request."""
        return {name: source.fault for name, source in self.sources.items() if source.fault}


def newest_first(sources: Iterable[Source]) -> list[Source]:
    """Return what requests told, the latest first."""
    return sorted(sources, key=lambda source: -source.began_ms)


# When to ask…


def due_ms(wallet: Wallet, nudged_at_ms: int, digests: Mapping[str, str], every_ms: int) -> int:
    """Return when a provider is to be asked again.

    Args:
        wallet: as it is known.
        nudged_at_ms: when a call was refused last because of a quota; 0: never.
        digests: the requests that there are, by their names.
        every_ms: how often it is asked when nothing happens.
    """
    due = min(source_due_ms(wallet, name, digest, every_ms) for name, digest in digests.items())
    if is_nudged(wallet, nudged_at_ms):
        gap_ms = min(NUDGE_GAP_MS << min(wallet.nudges, _DOUBLINGS_MAX), every_ms)
        due = min(due, max(nudged_at_ms + NUDGE_AFTER_MS, wallet.asked_ms + gap_ms))
    return max(due, wallet.slow_until_ms)


def is_nudged(wallet: Wallet, nudged_at_ms: int) -> bool:
    """Tell whether a call was refused since the last poll began, which then knew nothing of it."""
    return 0 < nudged_at_ms >= wallet.asked_ms


def source_due_ms(wallet: Wallet, name: str, digest: str, every_ms: int) -> int:
    """Return when one request is to be sent again."""
    source = wallet.sources.get(name)
    if source is None:
        return 0
    # What another key could not have may be there for this one.
    if source.is_unavailable and source.digest != digest:
        return min(source.next_ms, source.turn_ms + every_ms)
    return source.next_ms


def begun(
    wallet: Wallet, names: Collection[str], now_ms: int, *, nudged: bool, afresh: bool
) -> Wallet:
    """Return a wallet at the beginning of a poll.

    Args:
        wallet: as it is known.
        names: the requests that there are; what others told once is forgotten.
        now_ms: by the ledger's clock.
        nudged: everything that can be had is asked for, because a call was refused.
        afresh: the same, because what was noted of the time means nothing any more.
    """
    sources = {}
    for name, source in wallet.sources.items():
        at_once = afresh or (nudged and not source.is_unavailable)
        if name in names:
            due = min(source.next_ms, now_ms) if at_once else source.next_ms
            sources[name] = msgspec.structs.replace(source, next_ms=due)
    return msgspec.structs.replace(
        wallet,
        asked_ms=now_ms,
        nudges=wallet.nudges + 1 if nudged else 0,
        slow_until_ms=0 if afresh else wallet.slow_until_ms,
        sources=sources,
    )


def with_source(wallet: Wallet, name: str, source: Source) -> Wallet:
    """Return a wallet with what one request told."""
    return msgspec.structs.replace(wallet, sources={**wallet.sources, name: source})


def slowed(wallet: Wallet, now_ms: int, wait_ms: int | None) -> Wallet:
    """Return a wallet whose provider wants to be left alone, for as long as it says."""
    if wait_ms is not None:
        until_ms = now_ms + max(wait_ms, _SLOW_MS_TOLD_MIN)
        return msgspec.structs.replace(wallet, slow_until_ms=until_ms)
    slow_ms = min(max(2 * wallet.slow_ms, SLOW_MS_MIN), SLOW_MS_MAX)
    return msgspec.structs.replace(wallet, slow_until_ms=now_ms + slow_ms, slow_ms=slow_ms)
