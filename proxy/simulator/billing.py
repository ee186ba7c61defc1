"""Venice's ledger: rows of debits by time, in pages by number or by cursor, as JSON or CSV."""

import base64
import binascii
import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
from aiohttp import web

from proxy.simulator.arrivals import Arrival
from proxy.simulator.keys import KeyKind
from proxy.simulator.prices import Item, shares, usd
from proxy.simulator.provider import Provider
from proxy.simulator.replies import refusal, reply
from proxy.simulator.truth import Call

Row = dict[str, Any]
_SKUS: Final = {
    "prompt": "llm-input-mtoken",
    "completion": "llm-output-mtoken",
    "input_cache_read": "llm-input-cached-mtoken",
    "input_cache_write_5_min": "llm-cache-write-5m-mtoken",
    "input_cache_write_1_h": "llm-cache-write-1h-mtoken",
}
_EXECUTION_MS: Final = 2_964
_PAGE_LIMIT_MAX: Final = 500
_PAGE_LIMIT: Final = 200
_CURSOR_PAGE_MIN, _CURSOR_PAGE_MAX = 10, 1_000
_FIRST_PAGE_PARAMETERS: Final = frozenset(
    {"startTimestamp", "endTimestamp", "currency", "pageSize"}
)
_HISTORY_CURRENCIES: Final = frozenset({"USD", "DIEM", "BUNDLED_CREDITS", "EARNED_CREDITS"})
_USAGE_CURRENCIES: Final = frozenset({"USD", "VCU", "DIEM", "BUNDLED_CREDITS"})
_GONE_HEADERS: Final = {
    "Deprecation": "@1783555200",
    "Sunset": "Wed, 16 Sep 2026 00:00:00 GMT",
    "Link": '</api/v1/billing/usage-history>; rel="successor-version"',
}
_CSV_COLUMNS: Final = (
    "timestamp", "sku", "pricePerUnitUsd", "units", "amount", "currency", "notes",
    "inferenceDetails.requestId", "inferenceDetails.inferenceExecutionTime",
    "inferenceDetails.promptTokens", "inferenceDetails.completionTokens",
)  # fmt: skip
#: What the account has at first.
_USD_AT_FIRST: Final = Decimal(10_000)
_DIEM_AT_FIRST: Final = Decimal(1_000)


def _stamp(seconds: float) -> str:
    stamp = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def rows_of(call: Call) -> list[Row]:
    """The debits of one call, one for each SKU, a millisecond apart."""
    items = [item for item in call.items if item.count]
    if not items:
        items = [Item("request", 1, 0, 0)]
    details = None
    if call.body_id:
        details = {
            # A response is billed under the id of the chat completion it is made of.
            "requestId": call.body_id.removeprefix("resp_"),
            "promptTokens": call.usage.prompt,
            "completionTokens": call.usage.completion,
            "inferenceExecutionTime": _EXECUTION_MS,
        }
    rows = []
    for number, (item, share) in enumerate(
        zip(items, shares(items, call.billed_nano_usd), strict=True)
    ):
        is_count = item.code in {"web_search", "request"}
        sku = f"{call.answered_model}-{_SKUS.get(item.code, 'fixed')}"
        rows.append(
            {
                "timestamp": _stamp(call.at + (_EXECUTION_MS + number) / 1_000),
                "sku": "search-augmentation" if item.code == "web_search" else sku,
                "units": item.count if is_count else Decimal(item.count).scaleb(-6),
                "pricePerUnitUsd": Decimal(item.micro_usd).scaleb(-6),
                "amount": -usd(share),
                "currency": call.currency,
                "notes": "API Inference",
                "inferenceDetails": details,
            }
        )
    return rows


def _ledger(provider: Provider) -> list[Row]:
    """All rows that are known by now, in ascending order of time."""
    now = provider.clock()
    rows = list(provider.account.ledger_rows)
    for call in provider.truth.calls:
        if call.flavour != "venice" or not call.billed_nano_usd:
            continue
        if call.billed_at is not None and call.billed_at <= now and call.finished_at is not None:
            rows += rows_of(call)
    return sorted(rows, key=lambda row: str(row["timestamp"]))


def _refuse_key(arrival: Arrival) -> web.Response | None:
    if arrival.key_kind == KeyKind.VENICE_ADMIN:
        return None
    if arrival.key_kind == KeyKind.NONE:
        return refusal(arrival, 401, "Authentication failed")
    return refusal(arrival, 401, "Admin API key required")


def _invalid(message: str) -> web.Response:
    return reply({"error": message, "details": {}, "issues": []}, status=400)


def _moment(text: str) -> str | None:
    """An ISO time in the form in which rows have it, or None if it is not one in UTC."""
    if not text.endswith("Z"):
        return None
    try:
        return _stamp(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return None


class _Filter(msgspec.Struct, frozen=True, array_like=True):
    """Which rows are wanted."""

    start: str = ""
    end: str = ""
    currency: str = ""

    def takes(self, row: Row) -> bool:
        time = row["timestamp"]
        return (
            self.start <= time
            and (not self.end or time < self.end)
            and (not self.currency or row["currency"] == self.currency)
        )


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where the next page starts; opaque to clients."""

    filter: _Filter
    page_size: int
    #: The last row's time, and how many rows of just that time were given.
    after: str
    given: int
    expires_at: float

    def text(self) -> str:
        """The cursor as it travels."""
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).decode().rstrip("=")


def _read_cursor(text: str) -> _Cursor | None:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.msgpack.decode(raw, type=_Cursor)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None


def _wants_csv(arrival: Arrival) -> bool:
    accept = arrival.request.headers.get("accept", "")
    return "text/csv" in accept and "application/json" not in accept


def _csv(rows: list[Row], file_name: str, headers: dict[str, str]) -> web.Response:
    """Rows as a file; amounts without exponents."""
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(_CSV_COLUMNS)
    for row in rows:
        flat = row | {
            f"inferenceDetails.{name}": value
            for name, value in (row.get("inferenceDetails") or {}).items()
        }
        writer.writerow([_cell(flat.get(column)) for column in _CSV_COLUMNS])
    disposition = {"Content-Disposition": f"attachment; filename={file_name}"}
    return web.Response(
        text=sheet.getvalue(), content_type="text/csv", headers=disposition | headers
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


async def usage_history(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """`/billing/usage-history`: ascending, page after page by cursor."""
    if no := _refuse_key(arrival):
        return no
    cursor = _first_page(arrival) if "cursor" not in arrival.request.query else _next_page(arrival)
    if isinstance(cursor, web.Response):
        return cursor
    if cursor.expires_at and provider.clock() > cursor.expires_at:
        return _invalid("Invalid or expired cursor; restart from the first page")
    rows = [row for row in _ledger(provider) if cursor.filter.takes(row)]
    rows = [row for row in rows if row["timestamp"] >= cursor.after]
    page = rows[cursor.given :][: cursor.page_size]
    next_cursor = None
    if len(rows) > cursor.given + len(page):
        last = page[-1]["timestamp"]
        same = sum(row["timestamp"] == last for row in rows[: cursor.given + len(page)])
        expires_at = provider.clock() + provider.account.cursor_expires_after_s
        next_cursor = _Cursor(cursor.filter, cursor.page_size, last, same, expires_at).text()
    if _wants_csv(arrival):
        name = f"billing-usage-history-{int(provider.clock())}.csv"
        return _csv(page, name, {"x-next-cursor": next_cursor} if next_cursor else {})
    return reply({"data": page, "nextCursor": next_cursor})


def _first_page(arrival: Arrival) -> _Cursor | web.Response:
    query = arrival.request.query
    if unknown := set(query) - _FIRST_PAGE_PARAMETERS:
        return _invalid(f"Unrecognized parameters: {', '.join(sorted(unknown))}")
    size = query.get("pageSize", str(_CURSOR_PAGE_MAX))
    if not size.isdigit() or not _CURSOR_PAGE_MIN <= int(size) <= _CURSOR_PAGE_MAX:
        return _invalid(f"pageSize must be {_CURSOR_PAGE_MIN} to {_CURSOR_PAGE_MAX}")
    chosen = _filter(arrival, "startTimestamp", "endTimestamp", _HISTORY_CURRENCIES)
    if isinstance(chosen, web.Response):
        return chosen
    return _Cursor(chosen, int(size), "", 0, 0.0)


def _next_page(arrival: Arrival) -> _Cursor | web.Response:
    if len(arrival.request.query) > 1:
        return _invalid("cursor cannot be combined with other parameters")
    cursor = _read_cursor(arrival.request.query["cursor"])
    return cursor or _invalid("Invalid or expired cursor; restart from the first page")


def _filter(
    arrival: Arrival, start_name: str, end_name: str, currencies: frozenset[str]
) -> _Filter | web.Response:
    query = arrival.request.query
    moments = {}
    for name in (start_name, end_name):
        text = query.get(name, "")
        moment = _moment(text) if text else ""
        if moment is None:
            return _invalid(f"{name} must be an ISO 8601 time in UTC")
        moments[name] = moment
    currency = query.get("currency", "")
    if currency and currency not in currencies:
        return _invalid(f"currency must be one of {', '.join(sorted(currencies))}")
    return _Filter(moments[start_name], moments[end_name], currency)


async def usage(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """`/billing/usage`: newest first, by page number; gone since September 2026 if told so."""
    if provider.account.billing_usage_gone:
        gone = {"error": "This endpoint is gone. Use /api/v1/billing/usage-history."}
        return reply(gone, status=410, headers=_GONE_HEADERS)
    if no := _refuse_key(arrival):
        return no
    query = arrival.request.query
    chosen = _filter(arrival, "startDate", "endDate", _USAGE_CURRENCIES)
    if isinstance(chosen, web.Response):
        return chosen
    limit, page = query.get("limit", str(_PAGE_LIMIT)), query.get("page", "1")
    if not limit.isdigit() or not 0 < int(limit) <= _PAGE_LIMIT_MAX:
        return _invalid(f"limit must be 1 to {_PAGE_LIMIT_MAX}")
    if not page.isdigit() or int(page) < 1:
        return _invalid("page must be at least 1")
    order = query.get("sortOrder", "desc")
    if order not in {"asc", "desc"}:
        return _invalid("sortOrder must be asc or desc")
    rows = [row for row in _ledger(provider) if chosen.takes(row)]
    if order == "desc":
        rows.reverse()
    return _numbered_page(arrival, rows, int(limit), int(page))


def _numbered_page(arrival: Arrival, rows: list[Row], limit: int, page: int) -> web.Response:
    pagination = {
        "limit": limit,
        "page": page,
        "total": len(rows),
        "totalPages": -(-len(rows) // limit),
    }
    headers = {
        "x-pagination-limit": str(limit),
        "x-pagination-page": str(page),
        "x-pagination-total": str(len(rows)),
        "x-pagination-total-pages": str(pagination["totalPages"]),
    }
    shown = rows[(page - 1) * limit : page * limit]
    if _wants_csv(arrival):
        return _csv(shown, "billing_usage.csv", headers)
    body = {"warningMessage": None, "data": shown, "pagination": pagination}
    return reply(body, headers=headers)


def _spent(provider: Provider, currencies: set[str]) -> Decimal:
    calls = provider.truth.calls
    return usd(
        sum(
            call.billed_nano_usd
            for call in calls
            if call.flavour == "venice" and call.currency in currencies
        )
    )


async def balance(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """`/billing/balance`."""
    if no := _refuse_key(arrival):
        return no
    diem = _DIEM_AT_FIRST - _spent(provider, {"DIEM", "VCU"})
    dollars = _USD_AT_FIRST - _spent(provider, {"USD"})
    return reply(
        {
            "canConsume": diem + dollars >= Decimal("0.1"),
            "consumptionCurrency": "DIEM" if diem > 0 else "USD",
            "balances": {
                "diem": diem,
                "usd": dollars,
                "bundledCredits": 25 - _spent(provider, {"BUNDLED_CREDITS"}),
                "earnedCredits": None,
            },
            "diemEpochAllocation": _DIEM_AT_FIRST,
        }
    )


async def rate_limits(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """`/api_keys/rate_limits`, for any key."""
    if arrival.key_kind == KeyKind.NONE:
        return refusal(arrival, 401, "Authentication failed")
    limits = [{"type": "RPM", "amount": 100_000}, {"type": "TPM", "amount": 2_000_000_000}]
    return reply(
        {
            "data": {
                "accessPermitted": True,
                "apiTier": {"id": "paid", "isCharged": True},
                "balances": {
                    "USD": _USD_AT_FIRST - _spent(provider, {"USD"}),
                    "DIEM": _DIEM_AT_FIRST - _spent(provider, {"DIEM", "VCU"}),
                    "BUNDLED_CREDITS": 25 - _spent(provider, {"BUNDLED_CREDITS"}),
                },
                "keyExpiration": None,
                "nextEpochBegins": _stamp((provider.clock() // 86_400 + 1) * 86_400),
                "rateLimits": [{"apiModelId": "zai-org-glm-5-1", "rateLimits": limits}],
            }
        }
    )
