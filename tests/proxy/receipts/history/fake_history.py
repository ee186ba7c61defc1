"""A provider's billing history by script: rows that come late, odd pages, and faults."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp

from proxy.providers.connection import Upstream
from proxy.providers.interface import Target
from proxy.receipts.history.walks import iso_time
from tests.doubles.fake_upstream import FakeAnswer

Raw = dict[str, Any]
NOON_MS = 1_795_438_800_000
ADMIN_KEY = "VENICE_ADMIN_KEY_own"
COLUMNS = (
    "timestamp", "sku", "pricePerUnitUsd", "units", "amount", "currency", "notes",
    "inferenceDetails.requestId", "inferenceDetails.inferenceExecutionTime",
    "inferenceDetails.promptTokens", "inferenceDetails.completionTokens",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Configured:
    """What of the configuration a history is read with."""

    kind: str = "venice"
    base_url: str = "https://provider.example/api"
    api_key: str = "VENICE_INFERENCE_KEY_own"
    management_key: str = ""
    billing_key: str = ADMIN_KEY
    paths: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def raw(
    at_ms: int,
    request_id: str | None = "chatcmpl-1",
    amount: str = "-0.5",
    *,
    sku: str = "zai-org-glm-5-1-llm-output-mtoken",
    currency: str = "USD",
    tokens: tuple[int, int] | None = (339, 227),
) -> Raw:
    """Return a row as the provider has it."""
    prompt_tokens, completion_tokens = tokens or (None, None)
    details = {
        "requestId": request_id,
        "promptTokens": prompt_tokens,
        "completionTokens": completion_tokens,
        "inferenceExecutionTime": 2964,
    }
    return {
        "timestamp": iso_time(at_ms),
        "sku": sku,
        "pricePerUnitUsd": Decimal("2.8"),
        "units": Decimal("0.000227"),
        "amount": Decimal(amount),
        "currency": currency,
        "notes": "API Inference",
        "inferenceDetails": None if request_id is None else details,
    }


def as_json(document: object) -> bytes:
    """Return JSON with exact numbers."""
    marked = json.dumps(document, default=lambda number: f"\ue000{number}\ue000")
    return marked.replace('"\\ue000', "").replace('\\ue000"', "").encode()


def as_csv(rows: list[Raw], columns: tuple[str, ...] = COLUMNS) -> bytes:
    """Return the table that the provider makes of rows."""
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(columns)
    for row in rows:
        details = row["inferenceDetails"] or {}
        flat = row | {f"inferenceDetails.{name}": value for name, value in details.items()}
        cells = [flat.get(column) for column in columns]
        writer.writerow([_cell(cell) for cell in cells])
    return sheet.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


class FakeHistory(Upstream):
    """Both endpoints; a test may have answers of its own in front, and look at every page."""

    def __init__(self, rows: list[Raw] | None = None, *, page_rows: int = 1_000) -> None:
        super().__init__(connect_timeout_s=1, idle_timeout_s=1)
        self.rows = rows or []
        #: How many rows a page has; a test may change it between pages.
        self.page_rows = page_rows
        self.usage_is_gone = False
        #: Instead of a page, in order; None for the page.
        self.instead: list[FakeAnswer | BaseException | None] = []
        #: Called before each page, with the number of pages so far.
        self.before_page: Callable[[int], None] = lambda _: None
        self.sent: list[Target] = []

    async def send(
        self, target: Target, headers: list[tuple[str, str]], body: bytes | None
    ) -> aiohttp.ClientResponse:
        assert body is None
        assert list(target.headers) == headers
        self.before_page(len(self.sent))
        self.sent.append(target)
        answer = self.instead.pop(0) if self.instead else None
        if isinstance(answer, BaseException):
            raise answer
        return (answer or self._page(target)).as_answer()

    @property
    def queries(self) -> list[dict[str, str]]:
        """What was asked for, page by page."""
        return [dict(target.url.query) for target in self.sent]

    def _page(self, target: Target) -> FakeAnswer:
        headers = {name.lower(): value for name, value in target.headers}
        if headers.get("authorization") != f"Bearer {ADMIN_KEY}":
            return FakeAnswer(b'{"error":"Admin API key required"}', status=401)
        wants_csv = headers["accept"] == "text/csv"
        query = target.url.query
        if target.url.path.endswith("/billing/usage"):
            return self._numbered(query, wants_csv)
        return self._by_cursor(query, wants_csv)

    def _numbered(self, query: Mapping[str, str], wants_csv: bool) -> FakeAnswer:
        if self.usage_is_gone:
            return FakeAnswer(b'{"error":"gone"}', status=410)
        assert 0 < int(query["limit"]) <= 500
        rows = self._between(query["startDate"], query["endDate"])
        number = int(query["page"])
        shown = rows[(number - 1) * self.page_rows : number * self.page_rows]
        pages = -(-len(rows) // self.page_rows)
        if wants_csv:
            totals = {"x-pagination-total": str(len(rows)), "x-pagination-total-pages": str(pages)}
            return FakeAnswer(as_csv(shown), headers={"Content-Type": "text/csv", **totals})
        numbering = {"limit": self.page_rows, "page": number, "total": len(rows)}
        return _json({"data": shown, "pagination": numbering | {"totalPages": pages}})

    def _by_cursor(self, query: Mapping[str, str], wants_csv: bool) -> FakeAnswer:
        if "cursor" in query:
            assert len(query) == 1, "beside a cursor nothing else may be asked"
            start, given = query["cursor"].split("+")
        else:
            assert set(query) <= {"startTimestamp", "pageSize"}
            start, given = query["startTimestamp"], "0"
        rows = self._between(start, "9")
        shown = rows[int(given) : int(given) + self.page_rows]
        cursor = None
        if len(rows) > int(given) + len(shown):
            last = shown[-1]["timestamp"]
            same = sum(row["timestamp"] == last for row in rows[: int(given) + len(shown)])
            cursor = f"{last}+{same}"
        if wants_csv:
            more = {"x-next-cursor": cursor} if cursor else {}
            return FakeAnswer(as_csv(shown), headers={"Content-Type": "text/csv", **more})
        return _json({"data": shown, "nextCursor": cursor})

    def _between(self, start: str, end: str) -> list[Raw]:
        found = [row for row in self.rows if start <= row["timestamp"] < end]
        return sorted(found, key=lambda row: str(row["timestamp"]))


def _json(document: object) -> FakeAnswer:
    return FakeAnswer(as_json(document), headers={"Content-Type": "application/json"})
