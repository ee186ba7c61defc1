"""The gate: a call passes when every budget that counts it holds its quote, and not otherwise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, assert_never

from policies.budgets import Budget
from policies.clock import Clock, rfc3339
from policies.decisions import Admitted, Duplicate, Refused, Standing
from policies.errors import LedgerUnavailable, LedgerUntouched
from policies.ledger.interface import Admission, Ask, Ledger
from policies.ledger.keys import REPORTED, charge_of, place
from policies.quotes import Quote, affordable_output_limit, clamped
from policies.reservations import Charge, Reservation
from policies.units import amount_text, policy_text
from policies.windows import Reported, Rolling
from proxy.dialects.interface import ErrorKind
from proxy.gateway.allowance import Allowance
from proxy.gateway.call import Quoted, Refusal, Routed, Ticket
from proxy.gateway.wallet_refusal import NoWallets, Wallets, wallet_refusal

# A rolling window of at most a minute is a rate: its clients do well to wait and try again.
RATE_WINDOW_MS_MAX: Final = 60_000

Requote = Callable[[Routed, Quote], Quoted]
#: Told of a call that will not be sent, and why, so that what may be held for it is let go.
Unused = Callable[[Ticket, str], Awaitable[None]]


class Gate:
    """Decides with the ledger; while that is away, by each budget's own rule for it."""

    def __init__(
        self,
        ledger: Ledger,
        allowance: Allowance,
        requote: Requote,
        unused: Unused,
        clock: Clock,
        wallets: Wallets | None = None,
    ) -> None:
        self._ledger = ledger
        self._allowance = allowance
        self._requote = requote
        self._unused = unused
        self._clock = clock
        self._wallets: Wallets = wallets or NoWallets()

    async def admit(self, quoted: Quoted) -> tuple[Ticket, int] | Refusal:
        """Return the ticket and the keys' version that the ledger knows, or the refusal."""
        try:
            clampable = _clampable(quoted)
            decision = await self._reserve(quoted, Admission.TRY if clampable else Admission.DECIDE)
            if isinstance(decision, Refused) and clampable:
                quoted = self._clamp(quoted, decision)
                decision = await self._reserve(quoted, Admission.DECIDE)
        except LedgerUnavailable as fault:
            return await self._without_ledger(quoted, fault)
        match decision:
            case Admitted():
                ticket = Ticket(
                    quoted=quoted,
                    reservation=decision.reservation,
                    standings=decision.standings,
                    would_refuse=decision.would_refuse,
                )
                provider = quoted.routed.provider.name
                if self._wallets.is_closed(provider):
                    # It refused another call after this one had passed.
                    await self._unused(ticket, "the provider has just refused another call")
                    return await wallet_refusal(self._wallets, provider, decision.standings)
                return ticket, decision.keys_version
            case Refused():
                if decision.standing.window == REPORTED:
                    provider = quoted.routed.provider.name
                    return await wallet_refusal(self._wallets, provider, (decision.standing,))
                return self._refusal(quoted, decision)
            case Duplicate(state=state):
                return Refusal(
                    status=409,
                    kind=ErrorKind.INTERNAL,
                    message=f"a call of this id is {state} already: send the request again",
                )
            case unreachable:
                assert_never(unreachable)

    async def _reserve(
        self, quoted: Quoted, admission: Admission
    ) -> Admitted | Refused | Duplicate:
        call_id = quoted.routed.arrival.call_id
        return await self._ledger.reserve(
            call_id, quoted.asks, data=quoted.data, admission=admission
        )

    def _clamp(self, quoted: Quoted, refused: Refused) -> Quoted:
        """Lower the output limit to what every budget has left; as it was where that is too little."""
        pairs = zip(quoted.asks, refused.standings, strict=True)
        if quoted.quote is None or any(_refuses(ask, standing) for ask, standing in pairs):
            return quoted
        demand = quoted.routed.arrival.parsed.demand
        # What only watches does not narrow a call down either.
        enforced = [s for s in refused.standings if s.mode == "enforce"]
        remaining = [(standing.unit, standing.remaining) for standing in enforced]
        clamping = [ask.budget for ask in quoted.asks if ask.budget.when_short == "clamp"]
        floor = max(budget.clamp_floor for budget in clamping)
        limit = affordable_output_limit(
            demand, quoted.quote.price, quoted.quote, remaining, floor=floor
        )
        if limit is None or limit >= quoted.quote.output_limit:
            return quoted
        return self._requote(quoted.routed, clamped(demand, quoted.quote, limit))

    def _refusal(self, quoted: Quoted, refused: Refused) -> Refusal:
        standing = refused.standing
        now_ms = self._ledger.now_ms()
        resets_ms = standing.end_ms or refused.retry_at_ms
        window = _budget_of(quoted, standing).window
        is_rate = isinstance(window, Rolling) and window.length_ms <= RATE_WINDOW_MS_MAX
        wait_s = max(1, -(-(resets_ms - now_ms) // 1000)) if is_rate and resets_ms else None
        return Refusal(
            status=402 if wait_s is None else 429,
            kind=ErrorKind.BUDGET_EXCEEDED,
            message=_budget_message(standing, refused.asked, resets_ms),
            standing=standing,
            retry_after_s=wait_s,
            headers=_refusal_headers(standing, resets_ms),
        )

    async def _without_ledger(
        self, quoted: Quoted, fault: LedgerUnavailable
    ) -> tuple[Ticket, int] | Refusal:
        """Admit on the worker's own allowance, where every budget of the call has one with room."""
        nano_usd = quoted.quote.bound.nano_usd if quoted.quote is not None else None
        call_id = quoted.routed.arrival.call_id
        # What a provider reports is no budget of ours: nobody can say how it stands now.
        budgets = [ask.budget for ask in quoted.asks if not isinstance(ask.budget.window, Reported)]
        now_ms = self._clock.now_ms()
        charges = tuple(_placed(ask, now_ms) for ask in quoted.asks)
        reservation = Reservation(call_id=call_id, at_ms=now_ms, charges=charges)
        ticket = Ticket(quoted=quoted, reservation=reservation, on_allowance=True)
        if nano_usd is not None and self._allowance.take(call_id, budgets, nano_usd):
            return ticket, 0
        if not isinstance(fault, LedgerUntouched):
            # Its quote may be held all the same: left alone, it would be charged when the lease ends.
            refused = replace(ticket, in_doubt=True)
            await self._unused(refused, "the ledger did not answer, so the call was refused")
        return Refusal(
            status=503,
            kind=ErrorKind.LEDGER_UNAVAILABLE,
            message="the ledger cannot be reached, so no budget can be checked: try again later "
            f"({fault}); budgets with `when_ledger_down: {{allow: …}}` go on for a while",
        )


def _placed(ask: Ask, now_ms: int) -> Charge:
    at = place(ask.budget, ask.subject, now_ms)
    return charge_of(ask.budget, ask.subject, at, slot=0, held=ask.held, bound=ask.bound)


def _clampable(quoted: Quoted) -> bool:
    return quoted.quote is not None and any(ask.budget.when_short == "clamp" for ask in quoted.asks)


def _refuses(ask: Ask, standing: Standing) -> bool:
    """Tell whether this budget has no room and wants the call refused rather than made shorter."""
    budget = ask.budget
    decides = budget.mode == "enforce" and budget.when_short == "refuse"
    return decides and ask.held > standing.remaining


def _budget_of(quoted: Quoted, standing: Standing) -> Budget:
    return next(ask.budget for ask in quoted.asks if ask.budget.name == standing.budget)


def _budget_message(standing: Standing, asked: int, resets_ms: int | None) -> str:
    unit = standing.unit
    subject = f" for '{standing.subject}'" if standing.subject else ""
    reset = f"resets at {rfc3339(resets_ms)}" if resets_ms else "has no reset"
    return (
        f"Budget '{standing.budget}'{subject} has no room for this call: "
        f"{amount_text(unit, standing.spent)} spent and {amount_text(unit, standing.reserved)} reserved "
        f"of {amount_text(unit, standing.limit)}, the call may need {amount_text(unit, asked)}; "
        f"the budget {reset}. Refused by Bursar; nothing was sent to the provider."
    )


def _refusal_headers(standing: Standing, resets_ms: int | None) -> tuple[tuple[str, str], ...]:
    headers = [
        ("x-bursar-decision", "refused"),
        ("x-bursar-budget", standing.budget),
        ("x-bursar-limit", policy_text(standing.unit, standing.limit)),
        ("x-bursar-spent", policy_text(standing.unit, standing.spent)),
        ("x-bursar-reserved", policy_text(standing.unit, standing.reserved)),
    ]
    if resets_ms:
        headers.append(("x-bursar-resets-at", rfc3339(resets_ms)))
    return tuple(headers)
