"""What a provider reports of our account, in one neutral form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from proxy.providers.interface import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One quota or balance; amounts are nano-units of `unit`."""

    #: `5_hour`, `7_day`, `month`, `balance`, `key`: one word per thing, unique within a provider.
    name: str
    #: `flows` or `USD`.
    unit: str
    #: The cap; None: a balance has none.
    limit: int | None = None
    #: As reported; None where the provider tells a cap alone.
    remaining: int | None = None
    #: When it is full again; None: it has not begun, or never.
    resets_at_ms: int | None = None
    #: Names the billing cycle of a quota whose use the provider does not tell: what calls of ours
    #: come to is counted from the cycle's beginning. Empty where `remaining` is told.
    cycle: str = ""
    #: Bills reach it minutes late (AGIPower's balance): calls that ended lately are not in it yet.
    lags: bool = False
    #: There is more in it than the headers of a call's answer tell.
    partly_in_passing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one request told; several make up a wallet."""

    quotas: tuple[Quota, ...] = ()
    #: The account's state, as the provider names it: healthy, monitored, abusive, suspended, banned.
    account_status: str | None = None
    #: Why the account pays for nothing now, whatever its quotas say, as what comes behind `account
    #: 'name'`: `is suspended`. Empty: it pays.
    closed: str = ""
    #: US dollars for one credit, as decimal text, by the credit's name.
    usd_per_credit: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The provider has no such thing for this account or this key; asking on is no use for a while."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What came makes no sense: HTML, an error, numbers that cannot be. What was known stays."""

    reason: str


@dataclass(frozen=True, slots=True)
class SlowDown:
    """The provider wants fewer requests."""

    #: How long to wait; None: it does not say.
    wait_ms: int | None = None


Reading = Report | Unavailable | Unreadable | SlowDown


class WalletAdapter(Protocol):
    """One provider that reports quotas."""

    def targets(self) -> Sequence[tuple[str, Target]]:
        """Return what to ask, each with a name of its own; empty: the configuration has no key for it."""
        ...

    def read(self, name: str, status: int, headers: Mapping[str, str], body: bytes) -> Reading:
        """Return what the answer to the named request says; never raises."""
        ...

    def in_passing(self, headers: Mapping[str, str]) -> Report | None:
        """Return what the headers of a call's answer tell of the wallet; None: nothing."""
        ...
