"""What a provider's billing says of one call: one neutral result, whoever the provider is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from policies.usage import Usage
from proxy.providers.interface import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """The provider has billed the call: this is the truth."""

    #: What it billed in US dollars; credits that stand for dollars are among them.
    nano_usd: int
    #: Nano-units by the provider's own credits (`DIEM`, `flows`), where it charged those.
    credits: Mapping[str, int] = field(default_factory=dict)
    #: As the provider names it; several are joined by `+`.
    currency: str = "USD"
    #: What it counted; None: it does not say.
    usage: Usage | None = None
    #: Nano-dollars by the provider's own code for each item, in its order.
    breakdown: tuple[tuple[str, int], ...] = ()
    #: Under which id it was found.
    generation_id: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """The provider knows the call, and has not billed it yet. Ask again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Never:
    """No amount will ever come for this call; its metered amount is final."""

    reason: str
    #: What the provider counted, if it says that at least.
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class UnknownId:
    """The provider does not know this id: not yet, or it knows the call by another one."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """What came does not add up. Nothing is booked from it, and the call is asked for again."""

    #: A sentence without a full stop, for the log.
    reason: str


@dataclass(frozen=True, slots=True)
class SlowDown:
    """The provider wants fewer requests, from all of us."""

    #: How long to wait; None: it does not say.
    wait_ms: int | None = None


Result = Final | Pending | Never | UnknownId | SetAside | SlowDown


class ReceiptAdapter(Protocol):
    """One provider that can be asked for single calls."""

    @property
    def never(self) -> str | None:
        """Why this provider, as it is configured, will bill no call by itself; None: it does."""
        ...

    def at_once(self, outcome: Mapping[str, Any]) -> Final | None:
        """Return the receipt that the answer itself was; None: it told no amount.

        Args:
            outcome: what the settlement journalled, with money parsed as `Decimal`.
        """
        ...

    def targets(self, generation_id: str) -> Sequence[Target]:
        """Return where one id can be looked up, the likeliest place first."""
        ...

    def read(
        self, generation_ids: Sequence[str], status: int, headers: Mapping[str, str], body: bytes
    ) -> Result:
        """Return what an answer to the look-up of an id says; never raises.

        Args:
            generation_ids: the id that was asked for, and behind it all others that are known of the
                call: a provider answers with the id by which it bills, whichever was asked for.
            status: the answer's.
            headers: the answer's, in whatever case.
            body: the answer's, all of it.
        """
        ...
