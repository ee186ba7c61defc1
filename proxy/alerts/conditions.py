"""When there is something to tell: values in, alerts out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from policies.budgets import Budget
from policies.clock import rfc3339
from policies.decisions import Standing
from policies.units import amount_text
from policies.windows import Rolling
from proxy.alerts.alert import Alert, Topic

#: Marks of windows that never end outlive whoever reads them.
FOREVER_MS = 10 * 365 * 86_400_000
#: A budget that refuses counts as exhausted from so much on.
NEARLY_PERCENT = 90
_WHOLE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaLevel:
    """What a provider's quota has left, in its unit."""

    provider: str
    quota: str
    unit: str
    #: None: the provider does not say.
    limit: int | None
    remaining: int | None
    #: Why no call passes; None: calls do.
    closed: str | None
    resets_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """Calls of a provider whose receipt is looked for since too long."""

    provider: str
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDrift:
    """By how much a model's price list is off on a day."""

    provider: str
    model: str
    day: str
    compared: int
    metered_nano_usd: int
    billed_nano_usd: int


def budget_alerts(
    standings: Iterable[Standing],
    budgets: Mapping[str, Budget],
    refused: Mapping[tuple[str, str], int],
    now_ms: int,
) -> list[Alert]:
    """Return what there is to tell of budgets: thresholds that were passed, and budgets that refuse.

    Args:
        standings: how they stand.
        budgets: by name.
        refused: how many calls each budget and subject has refused in its present window.
        now_ms: by the ledger's clock.
    """
    found = []
    for standing in standings:
        budget = budgets.get(standing.budget)
        if budget is None:
            continue
        passed = [
            percent
            for percent in budget.warn_at_percent
            if standing.limit and standing.spent * _WHOLE >= standing.limit * percent
        ]
        if passed:
            # Several at once are one piece of news: the highest of them.
            found.append(_threshold(standing, budget, max(passed), now_ms))
        calls = refused.get((standing.budget, standing.subject), 0)
        # A single call that was too large is no news while the rest of the budget is there.
        nearly = standing.spent * _WHOLE >= standing.limit * NEARLY_PERCENT
        if (calls and nearly) or standing.spent >= standing.limit:
            found.append(_exhausted(standing, budget, calls, now_ms))
    return found


def _threshold(standing: Standing, budget: Budget, percent: int, now_ms: int) -> Alert:
    return Alert(
        topic=Topic.BUDGET_THRESHOLD,
        name=f"{_window_name(standing, budget)}|{percent}",
        text=f"Budget {_called(standing)} has passed {percent} %: {_spent(standing)}; {_reset(standing)}.",
        facts=_facts(standing) | {"percent": percent},
        until_ms=_until(standing, budget, now_ms),
    )


def _exhausted(standing: Standing, budget: Budget, calls: int, now_ms: int) -> Alert:
    if standing.mode != "enforce":
        what = "is used up and admits calls all the same, for it only watches"
    elif calls:
        what = "has no room and refuses calls"
    else:
        what = "is used up"
    return Alert(
        topic=Topic.BUDGET_EXHAUSTED,
        name=_window_name(standing, budget),
        text=f"Budget {_called(standing)} {what}: {_spent(standing)}; {_reset(standing)}.",
        facts=_facts(standing) | {"refused_calls": calls},
        until_ms=_until(standing, budget, now_ms),
    )


def _window_name(standing: Standing, budget: Budget) -> str:
    # A rolling window never begins anew: its mark ends a window's length after it was made.
    start_ms = 0 if isinstance(budget.window, Rolling) else standing.start_ms
    return f"{standing.budget}|{standing.subject}|{start_ms}"


def _until(standing: Standing, budget: Budget, now_ms: int) -> int:
    if isinstance(budget.window, Rolling):
        return now_ms + budget.window.length_ms
    return standing.end_ms or now_ms + FOREVER_MS


def _called(standing: Standing) -> str:
    subject = f" for '{standing.subject}'" if standing.subject else ""
    return f"'{standing.budget}'{subject}"


def _spent(standing: Standing) -> str:
    spent, limit = (amount_text(standing.unit, n) for n in (standing.spent, standing.limit))
    return f"{spent} of {limit} spent"


def _reset(standing: Standing) -> str:
    return f"it resets at {rfc3339(standing.end_ms)}" if standing.end_ms else "it has no reset"


def _facts(standing: Standing) -> dict[str, str | int | None]:
    return {
        "budget": standing.budget,
        "subject": standing.subject or None,
        "unit": standing.unit,
        "limit": standing.limit,
        "spent": standing.spent,
        "reserved": standing.reserved,
        "resets_at": rfc3339(standing.end_ms) if standing.end_ms else None,
    }


def wallet_alerts(levels: Iterable[QuotaLevel], low_percent: int) -> list[Alert]:
    """Return what there is to tell of providers' quotas: those that are low, and those that are closed."""
    found = []
    for level in levels:
        facts: dict[str, str | int | None] = {
            "provider": level.provider,
            "quota": level.quota,
            "unit": level.unit,
            "limit": level.limit,
            "remaining": level.remaining,
            "resets_at": level.resets_at,
        }
        name = f"{level.provider}|{level.quota}"
        reset = f"; it resets at {level.resets_at}" if level.resets_at else ""
        if level.closed is not None:
            text = f"No call passes through '{level.quota}' of '{level.provider}': {level.closed}{reset}."
            found.append(
                Alert(topic=Topic.WALLET_CLOSED, name=name, text=text, facts=facts),
            )
        elif _is_low(level, low_percent):
            left = amount_text(level.unit, level.remaining or 0)
            whole = amount_text(level.unit, level.limit or 0)
            text = f"'{level.quota}' of '{level.provider}' is low: {left} of {whole} left{reset}."
            found.append(Alert(topic=Topic.WALLET_LOW, name=name, text=text, facts=facts))
    return found


def _is_low(level: QuotaLevel, low_percent: int) -> bool:
    if level.limit is None or level.remaining is None:
        return False
    return level.remaining * _WHOLE <= level.limit * low_percent


def receipt_alerts(overdue: Iterable[Overdue], drifts: Sequence[ModelDrift]) -> list[Alert]:
    """Return what there is to tell of receipts: those that do not come, and price lists that are off."""
    found = [
        Alert(
            topic=Topic.RECEIPTS_OVERDUE,
            name=each.provider,
            text=f"{each.calls} calls of '{each.provider}' wait for their receipt since too long: "
            "see 'bursar receipts status'.",
            facts={"provider": each.provider, "calls": each.calls},
        )
        for each in overdue
        if each.calls
    ]
    for drift in drifts:
        change = drift.billed_nano_usd - drift.metered_nano_usd
        percent = change * _WHOLE // drift.metered_nano_usd if drift.metered_nano_usd else 0
        found.append(
            Alert(
                topic=Topic.DRIFT,
                name=f"{drift.provider}|{drift.model}|{drift.day}",
                text=f"'{drift.provider}' bills '{drift.model}' {percent:+d} % off its price list on "
                f"{drift.day}: {amount_text('USD', change)} over {drift.compared} calls.",
                facts={
                    "provider": drift.provider,
                    "model": drift.model,
                    "day": drift.day,
                    "calls": drift.compared,
                    "metered_nano_usd": drift.metered_nano_usd,
                    "billed_nano_usd": drift.billed_nano_usd,
                },
                # The day's mark: it is told once, also when more calls of that day bring it back.
                until_ms=FOREVER_MS,
            )
        )
    return found


def archive_alerts(backlog: int, backlog_max: int) -> list[Alert]:
    """Return what there is to tell of the archive: that the journal waits for it."""
    if backlog <= backlog_max:
        return []
    return [
        Alert(
            topic=Topic.ARCHIVE_BEHIND,
            name="journal",
            text=f"{backlog} entries of the journal wait in Redis for the archive: see its log.",
            facts={"entries": backlog, "entries_max": backlog_max},
        )
    ]
