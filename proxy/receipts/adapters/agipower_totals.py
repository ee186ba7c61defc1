"""AGIPower: what the account was billed for, by key and minute (facts: providers.md, 1.7).

Amounts are decimal strings, and null is not "0". The bill type `subscription` is a reference price
and no charge: it is never asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeGuard

from policies.clock import utc
from policies.money import EXACT_MAX
from proxy.providers.agipower import by_subscription
from proxy.providers.interface import ProviderSettings, Target
from proxy.providers.targets import bearer, billing_target
from proxy.receipts.adapters.answers import mapping, pause_ms
from proxy.receipts.adapters.figures import Unreadable, nano, shown, tokens
from proxy.receipts.billed_hours import (
    MINUTE_MS,
    Answer,
    ModelTotal,
    Totals,
    TotalsRow,
    Unavailable,
)
from proxy.receipts.receipt import SetAside, SlowDown

#: The name of the path in the configuration, for a host that differs.
COST: Final = "cost"
PATH: Final = (
    "/api/v1/management/cost?type=cost&query_dimension=BIZ_HOUR"
    "&query_time={hour}&bill_types={bill_types}"
)
METERED: Final = "metered"
#: Trap 12: a subscription that is used up is billed like this, with the very same key.
EXTRA_USAGE: Final = "fallbackMetered"
_PLACES: Final = ("{hour}", "{bill_types}")
# Trap 15: these two endpoints say 429, the other management endpoints 422.
_SLOW: Final = frozenset({422, 429})
_KEY_REFUSED: Final = frozenset({401, 403})
_NOT_FOR_US: Final = frozenset({400, 404})
_OK: Final = 200
#: An hour of 800 keys, each used in every minute.
ROWS_MAX: Final = 50_000
FLAWS_MAX: Final = 5
_NAME_CHARACTERS_MAX: Final = 200
_HOUR: Final = "%Y%m%d%H"
_BIZ_TIME: Final = re.compile(r"\d{12}", re.ASCII)


class AgiPowerTotals:
    """Totals of one account, whichever of our keys it is used by."""

    def __init__(self, settings: ProviderSettings, *others: ProviderSettings) -> None:
        """Take the configuration.

        Args:
            settings: whose management key asks.
            others: what else of the configuration uses the same account.

        Raises:
            ValueError: its path has no place for the hour or for the bill types.
        """
        path = settings.paths.get(COST, PATH)
        for place in _PLACES:
            if place not in path:
                raise ValueError(f"path '{COST}' has no {place}: all totals would be the same")
        self._settings = settings
        self._auth = bearer(settings.management_key)
        self._subscribed = any(by_subscription(each) for each in (settings, *others))
        # Calls of a subscription of ours stay at their metered amount, also when they were billed as
        # extra usage: that is no ghost. A subscription that is none of ours is one.
        self.scope: Final = METERED if self._subscribed else f"{METERED},{EXTRA_USAGE}"

    def target(self, hour_ms: int) -> Target:
        """Return where the totals of the hour that begins then are."""
        return self._target(hour_ms, self.scope)

    def read(self, hour_ms: int, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return what an answer says of that hour; never raises."""
        if status in _SLOW:
            return SlowDown(pause_ms(headers))
        if status in _KEY_REFUSED:
            return Unavailable(
                f"the provider refused the key (status {status}): check management_key"
            )
        if status in _NOT_FOR_US:
            return SetAside(f"the provider does not tell of this hour (status {status})")
        if status != _OK:
            return Unavailable(f"the provider answered with status {status}")
        try:
            return _totals(hour_ms, _document(body))
        except Unreadable as error:
            return SetAside(str(error))

    def extra_usage_target(self, hour_ms: int) -> Target | None:
        """Return where to ask what a subscription was billed for besides; None: there is none."""
        return self._target(hour_ms, EXTRA_USAGE) if self._subscribed else None

    def read_extra_usage(
        self, hour_ms: int, status: int, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Return what an answer says of that; never raises."""
        return self.read(hour_ms, status, headers, body)

    def _target(self, hour_ms: int, bill_types: str) -> Target:
        return billing_target(
            self._settings.base_url,
            self._settings,
            COST,
            PATH,
            self._auth,
            hour=utc(hour_ms).strftime(_HOUR),
            bill_types=bill_types,
        )


def _document(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object in a body, money as `Decimal`.

    Raises:
        Unreadable: it is something else.
    """
    try:
        found = json.loads(body, parse_float=_number, parse_constant=_number)
    except (ValueError, RecursionError):
        start = body[:80].decode(errors="replace")
        raise Unreadable(f"the answer is not JSON: {shown(start)}") from None
    return mapping(found, "the answer")


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def _totals(hour_ms: int, answer: Mapping[str, Any]) -> Totals:
    if answer.get("success") is not True:
        raise Unreadable(f"the answer is no success: {shown(answer.get('message'))}")
    data = mapping(answer.get("data"), "data")
    analysis = mapping(data.get("analysis") or {}, "analysis")
    summary = mapping(data.get("summary") or {}, "summary")
    flaws: list[str] = []
    # A row that comes twice, the same in everything, is one row.
    rows = dict.fromkeys(_rows(hour_ms, _entries(analysis, "costByApiKey"), flaws))
    _check_sum(sum(row.nano_usd for row in rows), len(rows), summary.get("totalCost"))
    models = _models(_entries(analysis, "costByModel"))
    return Totals(rows=tuple(rows), models=models, flaws=tuple(flaws[:FLAWS_MAX]))


def _entries(analysis: Mapping[str, Any], name: str) -> list[Any]:
    found = analysis.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise Unreadable(f"{name} is not a list: {shown(found)}")
    if len(found) > ROWS_MAX:
        raise Unreadable(f"{name} has {len(found)} rows, which no hour has")
    return found


def _rows(hour_ms: int, entries: Iterable[object], flaws: list[str]) -> Iterable[TotalsRow]:
    """Yield the rows that can be read: of one that cannot, nothing is booked.

    Raises:
        Unreadable: they are of another hour.
    """
    for entry in entries:
        try:
            found = mapping(entry, "a row")
            minute_ms, key = _minute_ms(found.get("bizTime")), _key(found.get("apiKeyId"))
            nano_usd = nano(found.get("billAmount"), "billAmount")
            calls = _calls(found.get("requestCounts"))
        except Unreadable as error:
            flaws.append(str(error))
            continue
        if not hour_ms <= minute_ms < hour_ms + 60 * MINUTE_MS:
            raise Unreadable(f"bizTime {shown(found.get('bizTime'))} is of another hour")
        yield TotalsRow(minute_ms=minute_ms, api_key_id=key, nano_usd=nano_usd, calls=calls)


def _minute_ms(biz_time: object) -> int:
    """Return when a minute begins: `YYYYMMDDHHmm` where an hour is asked for, in UTC (1.7)."""
    if isinstance(biz_time, str) and _BIZ_TIME.fullmatch(biz_time):
        try:
            minute = datetime.strptime(biz_time, "%Y%m%d%H%M").replace(tzinfo=UTC)
        except ValueError:
            pass
        else:
            return int(minute.timestamp()) * 1000
    raise Unreadable(f"bizTime {shown(biz_time)} is not a minute")


def _key(value: object) -> str:
    if value is None:
        return ""
    if not _is_name(value):
        raise Unreadable(f"apiKeyId {shown(value)} is not an id")
    return value


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= _NAME_CHARACTERS_MAX and value.isprintable()


def _calls(value: object) -> int:
    """Return a number of requests; 0: it cannot be read, and only informs."""
    try:
        return tokens(value, "requestCounts") or 0
    except Unreadable:
        return 0


def _check_sum(nano_usd: int, count: int, total: object) -> None:
    """Refuse rows that come to more than the account was billed in all; each was rounded up.

    Raises:
        Unreadable: they do not add up, or the total is no amount.
    """
    if nano_usd > EXACT_MAX:
        raise Unreadable("the rows come to more than can be counted")
    if total is not None and nano_usd > nano(total, "totalCost") + count:
        raise Unreadable(f"the rows come to more than totalCost {shown(total)}")


def _models(entries: Iterable[object]) -> tuple[ModelTotal, ...]:
    """Return the models, the dearest first; what cannot be read of them is left out: they inform."""
    sums: dict[str, tuple[int, int]] = {}
    for entry in entries:
        if not isinstance(entry, Mapping):
            continue
        model = entry.get("modelSlug")
        if not _is_name(model):
            continue
        try:
            amount = nano(entry.get("billAmount"), "billAmount")
        except Unreadable:
            continue
        nano_usd, calls = sums.get(model, (0, 0))
        sums[model] = nano_usd + amount, calls + _calls(entry.get("requestCounts"))
    return tuple(
        ModelTotal(model=model, nano_usd=nano_usd, calls=calls)
        for model, (nano_usd, calls) in sorted(sums.items(), key=lambda item: -item[1][0])
    )
