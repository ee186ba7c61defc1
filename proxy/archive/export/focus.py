"""What was charged, in the columns of FOCUS 1.2 (FinOps Open Cost and Usage Specification).

Each call that was charged is a row of category `Usage`. The mandatory columns of the cost and usage dataset are
all there, and of the conditional ones those that apply; ours begin with `x_`, as the specification asks.
Choices where it leaves some (docs/decisions/0012-exports.md):

- `BilledCost`, `EffectiveCost`, `ContractedCost`: what the call is charged: the provider's receipt, else what
  was metered, else what was held when it expired; `x_CostBasis` says which. `ListCost`: what the price list
  makes of its usage, where that is known.
- The charge period is the hour (UTC) of the call, which always lies within the billing period, its month.
- `ResourceId` is the model, `SubAccountId` the team, `BillingAccountId` the organisation.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from policies.clock import utc
from proxy.archive.export.columns import Column, Kind, Value
from proxy.archive.lines import CallLine

VERSION: Final = "1.2"
#: States in which a call has a charge. Others never will, or do not have it yet.
CHARGED_STATES: Final = frozenset({"settled", "expired", "receipted", "unreceipted"})
HOUR_MS: Final = 3_600_000
_DECEMBER: Final = 12


def columns(organization: str) -> tuple[Column, ...]:
    """Return the columns, for an organisation's calls."""
    text = Kind.TEXT
    return (
        Column("BilledCost", Kind.DOLLARS, _charged),
        Column("BillingAccountId", text, lambda _: organization),
        Column("BillingAccountName", text, lambda _: organization),
        Column("BillingAccountType", text, lambda _: "Organization"),
        Column("BillingCurrency", text, lambda _: "USD"),
        Column("BillingPeriodEnd", Kind.TIME, lambda call: _month_ms(_hour_ms(call.at_ms), 1)),
        Column("BillingPeriodStart", Kind.TIME, lambda call: _month_ms(_hour_ms(call.at_ms), 0)),
        Column("ChargeCategory", text, lambda _: "Usage"),
        # Null: no correction of an earlier billing period.
        Column("ChargeClass", text, lambda _: None),
        Column("ChargeDescription", text, _description),
        Column("ChargeFrequency", text, lambda _: "Usage-Based"),
        Column("ChargePeriodEnd", Kind.TIME, lambda call: _hour_ms(call.at_ms) + HOUR_MS),
        Column("ChargePeriodStart", Kind.TIME, lambda call: _hour_ms(call.at_ms)),
        Column("ConsumedQuantity", Kind.WHOLE, _quantity),
        Column("ConsumedUnit", text, _unit),
        Column("ContractedCost", Kind.DOLLARS, _charged),
        Column("EffectiveCost", Kind.DOLLARS, _charged),
        Column("InvoiceIssuerName", text, lambda call: call.provider),
        Column("ListCost", Kind.DOLLARS, _listed),
        Column("PricingCategory", text, lambda _: "Standard"),
        Column("PricingQuantity", Kind.WHOLE, _quantity),
        Column("PricingUnit", text, _unit),
        Column("ProviderName", text, lambda call: call.provider),
        Column("PublisherName", text, _publisher),
        Column("ResourceId", text, lambda call: call.model),
        Column("ResourceName", text, lambda call: call.model),
        Column("ResourceType", text, lambda _: "Model"),
        Column("ServiceCategory", text, lambda _: "AI and Machine Learning"),
        Column("ServiceName", text, lambda _: "Model Inference"),
        Column("ServiceSubcategory", text, lambda _: "Generative AI"),
        # Providers price models and have no construct above them: both are the same then.
        Column("SkuId", text, lambda call: call.model),
        Column("SkuPriceId", text, lambda call: call.model),
        Column("SubAccountId", text, lambda call: call.team),
        Column("SubAccountName", text, lambda call: call.team),
        Column("SubAccountType", text, lambda _: "Team"),
        Column("Tags", text, _tags),
        *_OWN,
    )


def is_charged(call: CallLine) -> bool:
    """Tell whether a call is a charge. Refused ones and those in flight are none."""
    return call.state in CHARGED_STATES and call.charged_nano_usd is not None


def _basis(call: CallLine) -> Value:
    if call.receipted_nano_usd is not None:
        return "receipt"
    return "meter" if call.settled_nano_usd is not None else "reservation"


_OWN: Final = (
    Column("x_CallId", Kind.TEXT, lambda call: call.call_id),
    Column("x_CallNumber", Kind.WHOLE, lambda call: call.number),
    Column("x_CallStart", Kind.TIME, lambda call: call.at_ms),
    Column("x_CallEnd", Kind.TIME, lambda call: call.ended_ms),
    Column("x_CallState", Kind.TEXT, lambda call: call.state),
    Column("x_CostBasis", Kind.TEXT, _basis),
    Column("x_MeteredCost", Kind.DOLLARS, lambda call: call.settled_nano_usd),
    Column("x_ReceiptedCost", Kind.DOLLARS, lambda call: call.receipted_nano_usd),
    Column("x_InputTokens", Kind.WHOLE, lambda call: call.input_tokens),
    Column("x_OutputTokens", Kind.WHOLE, lambda call: call.output_tokens),
    Column("x_GenerationId", Kind.TEXT, lambda call: call.generation_id),
    Column("x_KeyId", Kind.TEXT, lambda call: call.key_id),
    Column("x_User", Kind.TEXT, lambda call: call.user),
)


def _charged(call: CallLine) -> Value:
    return call.charged_nano_usd


def _listed(call: CallLine) -> Value:
    metered = call.settled_nano_usd
    return call.charged_nano_usd if metered is None else metered


def _tokens(call: CallLine) -> int:
    return (call.input_tokens or 0) + (call.output_tokens or 0)


def _quantity(call: CallLine) -> Value:
    # Of a call whose usage nobody told, only that it was made is known.
    return _tokens(call) or 1


def _unit(call: CallLine) -> Value:
    return "Tokens" if _tokens(call) else "Requests"


def _description(call: CallLine) -> Value:
    return f"{call.model} on {call.provider}, by the {_basis(call)}"


def _publisher(call: CallLine) -> Value:
    # Models of gateways are called publisher/model.
    publisher, slash, _ = call.model.partition("/")
    return publisher if slash and publisher else call.provider


def _hour_ms(at_ms: int) -> int:
    return at_ms - at_ms % HOUR_MS


# Calls come hour after hour.
@lru_cache(maxsize=4_096)
def _month_ms(at_ms: int, later: int) -> int:
    """Return the beginning of a time's month, or of the one after."""
    moment = utc(at_ms)
    month = moment.month + later
    begin = datetime(moment.year + (month > _DECEMBER), (month - 1) % _DECEMBER + 1, 1, tzinfo=UTC)
    return int(begin.timestamp()) * 1000


def _tags(call: CallLine) -> Value:
    """Return a flat JSON object, as the format wants it: whatever else stands there is left out."""
    found: dict[str, Any] = {}
    try:
        told = json.loads(call.tags) if call.tags else {}
    except (ValueError, RecursionError):
        told = {}
    if isinstance(told, dict):
        found = {
            name: value
            for name, value in told.items()
            if value is None or isinstance(value, str | int | float | bool)
        }
    if call.user is not None:
        found.setdefault("user", call.user)
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))
