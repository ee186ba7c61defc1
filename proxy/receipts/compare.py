"""What a receipt changes: the call as the ledger knows it beside what the provider billed. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from policies.call_ids import came_in_ms
from policies.ledger.interface import CallRecord, Tally
from policies.money import EXACT_MAX
from policies.reservations import State
from policies.units import INPUT_TOKENS, OUTPUT_TOKENS, TOKENS, USD, Amounts
from policies.usage import Usage
from proxy.receipts.receipt import Final as FinalReceipt
from proxy.receipts.receipt import SetAside

# Below this a receipt is never absurd, however little the call was expected to cost.
_NEVER_ABSURD_NANO_USD: Final = 10_000_000
# What a call without a quote is taken for: nobody knows its price, and unknown is not zero.
_UNQUOTED_NANO_USD: Final = 10_000_000_000
_TOKEN_UNITS: Final = frozenset({TOKENS, INPUT_TOKENS, OUTPUT_TOKENS})
#: The source of a receipt that the provider did not bill, but counted the tokens of.
METERING: Final = "metering"
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger knows of a call, as far as receipts go by it."""

    provider: str
    model: str
    #: exact, at_least, unknown or unpriced; empty for a call that nobody saw end.
    certainty: str
    #: Metered by the price list, in nano-dollars; None: the call was charged by its reservation.
    metered_nano_usd: int | None
    #: The most that it was expected to cost, in nano-dollars.
    bound_nano_usd: int
    usage: Usage
    service_tier: str | None
    #: Under which the provider may know it, likeliest first.
    generation_ids: tuple[str, ...]
    #: The settlement's, with money as `Decimal`.
    outcome: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether the provider itself said in its answer what was used, and it had a price."""
        return self.certainty == "exact"


def known(record: CallRecord) -> Known:
    """Return what a call's record says."""
    data, outcome = _parsed(record.data), _parsed(record.outcome)
    charged = [
        amount
        for charge, amount in zip(record.reservation.charges, record.charged, strict=True)
        if charge.unit == USD
    ]
    quote = data.get("quote")
    bound = int(quote.get("bound_nano_usd") or 0) if quote else _UNQUOTED_NANO_USD
    metered = outcome.get("nano_usd")
    ids = (*record.generation_ids, *(outcome.get("generation_ids") or ()))
    return Known(
        provider=str(data.get("provider") or ""),
        model=str(data.get("model") or ""),
        certainty=str(outcome.get("certainty") or ""),
        metered_nano_usd=metered if isinstance(metered, int) else None,
        bound_nano_usd=max(bound, *charged, 0),
        usage=_usage(outcome.get("usage") or ()),
        service_tier=outcome.get("service_tier"),
        generation_ids=tuple(dict.fromkeys(str(each) for each in ids)),
        outcome=outcome,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """What is booked of a receipt."""

    amounts: Amounts
    #: Units of which the receipt says nothing.
    keep: frozenset[str]
    #: JSON text for the journal and the call's record.
    outcome: str
    tally: Tally
    #: Billed beyond what was metered, in nano-dollars; None: nothing was metered.
    difference_nano_usd: int | None
    #: The provider counted other tokens than its answer said.
    usage_differs: bool = False


def adjust(
    record: CallRecord, call: Known, receipt: FinalReceipt, *, source: str, absurd_factor: int
) -> Adjustment | SetAside:
    """Return what a receipt changes about a call, or why nothing may be booked of it.

    Args:
        source: where it was found: answer, look-up or history; metering where a provider bills
            nothing and counted the tokens again.
        absurd_factor: how many times the dearest that was expected is beyond belief.
    """
    if not 0 <= receipt.nano_usd <= EXACT_MAX or any(
        not 0 <= amount <= EXACT_MAX for amount in receipt.credits.values()
    ):
        return SetAside("the amount is negative, or beyond what can be counted")
    expected = max(call.bound_nano_usd, call.metered_nano_usd or 0)
    most = absurd_factor * max(expected, _NEVER_ABSURD_NANO_USD)
    if receipt.nano_usd > most:
        return SetAside(
            f"{receipt.nano_usd} nano-dollars are more than {absurd_factor} times what the call "
            "could cost (receipts.absurd_factor)"
        )
    # What the answer said of its tokens is the provider's word too; where it was cut, it is not.
    usage = receipt.usage if not call.exact else None
    differs = call.exact and receipt.usage is not None and not _same(receipt.usage, call.usage)
    metered = call.metered_nano_usd if call.exact else None
    difference = receipt.nano_usd - metered if metered is not None else None
    return Adjustment(
        amounts=Amounts(
            nano_usd=receipt.nano_usd,
            input_tokens=usage.total_input_tokens if usage else 0,
            output_tokens=usage.total_output_tokens if usage else 0,
            credits=receipt.credits,
        ),
        keep=frozenset() if usage else _TOKEN_UNITS,
        outcome=_encoder.encode(_outcome(call, receipt, source, differs=differs)).decode(),
        tally=_receipted(record, call, receipt.nano_usd, metered, is_billed=source != METERING),
        difference_nano_usd=difference,
        usage_differs=differs,
    )


def without_receipt(
    record: CallRecord, call: Known, reason: str, *, never: bool
) -> tuple[str, Tally]:
    """Return the outcome of a call that stays at its metered amount, and what is added up of it."""
    outcome = _encoder.encode({"never" if never else "given_up": reason}).decode()
    word = "never" if never else "unreceipted"
    counts = ((f"{call.model}|{word}", 1), *_metered_counts(call))
    return outcome, Tally(provider=call.provider, name=_day(record), counts=counts)


def day_name(at_ms: int) -> str:
    """Return the name of the sums of the UTC day that a time lies in."""
    return f"sums:{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}"


def _receipted(
    record: CallRecord, call: Known, billed: int, metered: int | None, *, is_billed: bool
) -> Tally:
    """Return what is added up: per model for the drift, per minute for the account's totals."""
    at = f"@{datetime.fromtimestamp(_began_ms(record) / 1000, UTC):%H%M}"
    counts = [(f"{call.model}|receipted", 1), (f"{call.model}|billed", billed)]
    if is_billed:
        counts += [(f"{at}|billed", billed), (f"{at}|calls", 1)]
    if metered is not None:
        counts += [
            (f"{call.model}|compared", 1),
            (f"{call.model}|compared_metered", metered),
            (f"{call.model}|compared_billed", billed),
        ]
    if record.state is State.UNRECEIPTED:
        # It was given up, and its receipt came after all.
        word = "never" if "never" in _parsed(record.receipt) else "unreceipted"
        counts.append((f"{call.model}|{word}", -1))
    else:
        counts += _metered_counts(call)
    return Tally(provider=call.provider, name=_day(record), counts=tuple(counts))


def _metered_counts(call: Known) -> list[tuple[str, int]]:
    if call.metered_nano_usd is None:
        return []
    return [(f"{call.model}|metered", call.metered_nano_usd)]


def _day(record: CallRecord) -> str:
    return day_name(_began_ms(record))


def _began_ms(record: CallRecord) -> int:
    """Return when a call came in; one that passed without the ledger was reserved long after that."""
    reserved_ms = record.reservation.at_ms
    came_ms = came_in_ms(record.reservation.call_id)
    return reserved_ms if came_ms is None else min(came_ms, reserved_ms)


def _outcome(call: Known, receipt: FinalReceipt, source: str, *, differs: bool) -> dict[str, Any]:
    outcome: dict[str, Any] = {
        "source": source,
        "nano_usd": receipt.nano_usd,
        "currency": receipt.currency,
        "id": receipt.generation_id,
        "settled_nano_usd": call.metered_nano_usd,
    }
    if receipt.credits:
        outcome["credits"] = dict(receipt.credits)
    if receipt.breakdown:
        outcome["breakdown"] = [list(item) for item in receipt.breakdown]
    if receipt.usage is not None:
        outcome["usage"] = _parts(receipt.usage)
    if differs:
        outcome["usage_differs"] = True
    return outcome


def _same(one: Usage, other: Usage) -> bool:
    """Tell whether two countings agree as far as every provider tells."""
    return (one.total_input_tokens, one.total_output_tokens) == (
        other.total_input_tokens,
        other.total_output_tokens,
    )


def _parts(usage: Usage) -> dict[str, int]:
    parts = {name: getattr(usage, name) for name in usage.__dataclass_fields__}
    return {name: count for name, count in parts.items() if count}


def _usage(lines: Any) -> Usage:  # noqa: ANN401 - parsed JSON, whatever it holds.
    sums: dict[str, int] = {}
    for line in lines:
        for name, count in line.items():
            if name in Usage.__dataclass_fields__:
                sums[name] = sums.get(name, 0) + int(count)
    return Usage(**sums)


def _parsed(text: str) -> dict[str, Any]:
    parsed = json.loads(text or "{}", parse_float=Decimal)
    return parsed if isinstance(parsed, dict) else {}
