"""The rows of one request together, and the receipt that they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Final

from policies.errors import AmountOutOfRange
from policies.money import nano_from_decimal
from policies.usage import Usage
from proxy.receipts import receipt
from proxy.receipts.history.rows import EXACTLY, BadRow, Row

USD: Final = "USD"
#: Each is worth a US dollar; DIEM and its former name by Venice's definition (2.2, 2.4).
CURRENCIES: Final = frozenset({USD, "DIEM", "VCU", "BUNDLED_CREDITS", "EARNED_CREDITS"})
#: A request is charged in about six rows; whatever has more does not get more room.
GROUP_ROWS_MAX: Final = 1_000
#: Of how many bad rows a pass tells why.
BAD_SHOWN_MAX: Final = 20
# Names on the shelf: a request's id cannot be taken for the name of a row without one.
_REQUEST: Final = "r:"
_ROW: Final = "a:"


@dataclass(frozen=True, slots=True)
class Group:
    """Distinct rows that belong together; one row alone, where it belongs to no request."""

    #: Empty: no request explains it.
    request_id: str
    #: In the order of their times.
    rows: tuple[Row, ...]
    #: Why it does not add up: rows of it that could not be read. Empty: it does.
    flaws: tuple[str, ...] = ()
    #: When a row came that could not be read, by its neighbours' times.
    flawed_at_ms: int = 0

    @property
    def name(self) -> str:
        """What it is called on the shelf."""
        return name_of(self.request_id, self.rows[0].identity if self.rows else "")

    @property
    def first_ms(self) -> int:
        """The time of its first row."""
        return min((row.at_ms for row in self.rows), default=self.flawed_at_ms)

    @property
    def last_ms(self) -> int:
        """The time of its last row."""
        return max((row.at_ms for row in self.rows), default=self.flawed_at_ms)

    @property
    def amounts(self) -> Mapping[str, Decimal]:
        """What was billed, exactly, by currency; less what was given back under the same id."""
        return _sums((row.currency, row.billed) for row in self.rows)

    @property
    def skus(self) -> Mapping[str, Decimal]:
        """What was billed, exactly, by SKU, over all currencies: each of them is worth a dollar."""
        return _sums((row.sku, row.billed) for row in self.rows)

    @property
    def prompt_tokens(self) -> int | None:
        """What each row repeats of the whole request; never a sum."""
        return max((t for row in self.rows if (t := row.prompt_tokens) is not None), default=None)

    @property
    def completion_tokens(self) -> int | None:
        """What each row repeats of the whole request; never a sum."""
        counts = (t for row in self.rows if (t := row.completion_tokens) is not None)
        return max(counts, default=None)


def _sums(pairs: Iterable[tuple[str, Decimal]]) -> Mapping[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for name, amount in pairs:
        sums[name] = EXACTLY.add(sums.get(name, Decimal(0)), amount)
    return sums


def name_of(request_id: str, identity: str = "") -> str:
    """Return the name of a group: that of its request, or of the one row that it is."""
    if request_id:
        return _REQUEST + request_id
    return _ROW + sha256(identity.encode()).hexdigest()[:32]


def request_of(name: str) -> str:
    """Return the request that a name is of; empty: it is of a row without one."""
    return name.removeprefix(_REQUEST) if name.startswith(_REQUEST) else ""


def final_of(group: Group) -> receipt.Final | receipt.SetAside:
    """Return the receipt that a group is, rounded once, upwards."""
    if group.flaws:
        return receipt.SetAside(group.flaws[0])
    if not group.rows:
        return receipt.SetAside("the request has no rows")
    amounts = group.amounts
    if unknown := amounts.keys() - CURRENCIES:
        return receipt.SetAside(f"nobody knows what '{min(unknown)}' is worth")
    if negative := [currency for currency, amount in amounts.items() if amount < 0]:
        return receipt.SetAside(f"more {min(negative)} was given back than was charged")
    try:
        return receipt.Final(
            nano_usd=nano_from_decimal(_total(amounts.values())),
            credits={
                currency: nano_from_decimal(amount)
                for currency, amount in amounts.items()
                if currency != USD
            },
            currency="+".join(sorted(amounts)),
            usage=_usage(group),
            breakdown=tuple((sku, nano_from_decimal(amount)) for sku, amount in group.skus.items()),
            generation_id=group.request_id,
        )
    except AmountOutOfRange as error:
        return receipt.SetAside(str(error))


def _total(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACTLY.add(total, amount)
    return total


def _usage(group: Group) -> Usage | None:
    prompt, completion = group.prompt_tokens, group.completion_tokens
    if prompt is None and completion is None:
        return None
    return Usage(input_tokens=prompt or 0, output_tokens=completion or 0)


class Gathering:
    """Rows of many pages, on their way to being groups: each row once, however often it comes."""

    def __init__(self, start_ms: int, end_ms: int) -> None:
        """Begin with nothing.

        Args:
            start_ms: rows from before are left out: what they belong to may be forgotten already.
            end_ms: rows from then on are taken, but are no sign of how far the history was read.
        """
        self._start_ms = start_ms
        self._end_ms = end_ms
        self.counts: Counter[str] = Counter()
        #: The first few of them.
        self.bad: list[BadRow] = []
        #: How far the history was read, in the provider's time; None: there is nothing in it.
        self.newest_ms: int | None = None
        #: Whether rows came in the order of their times, so that what is missing lies behind.
        self.ascending = True
        #: How many rows wait here.
        self.held = 0
        self._rows: dict[str, dict[str, Row]] = {}
        self._flaws: dict[str, tuple[str, int]] = {}
        self._last_ms: int | None = None

    def take(self, entries: Iterable[Row | BadRow]) -> None:
        """Take in one page."""
        for entry in entries:
            self.counts["rows"] += 1
            if entry.at_ms is not None and entry.at_ms < self._start_ms:
                self.counts["outside"] += 1
            elif isinstance(entry, BadRow):
                self._take_bad(entry)
            else:
                self._take_row(entry)

    def closed(self, before_ms: int | None = None) -> tuple[Group, ...]:
        """Hand out what has come together, and forget it; all of it, or what ended before a time."""
        groups = (self._group(name) for name in dict.fromkeys([*self._rows, *self._flaws]))
        found = [group for group in groups if before_ms is None or group.last_ms < before_ms]
        for group in found:
            self._flaws.pop(group.name, None)
            self.held -= len(self._rows.pop(group.name, {}))
        return tuple(found)

    def _take_row(self, row: Row) -> None:
        self._follow(row.at_ms)
        if row.request_id is None and row.billed <= 0:
            self.counts["credits"] += 1
            return
        identity = row.identity
        rows = self._rows.setdefault(name_of(row.request_id or "", identity), {})
        if identity in rows:
            self.counts["duplicates"] += 1
        elif len(rows) < GROUP_ROWS_MAX:
            rows[identity] = row
            self.held += 1
        else:
            self._flaw(row.request_id or "", f"it has more than {GROUP_ROWS_MAX} rows", row.at_ms)

    def _take_bad(self, bad: BadRow) -> None:
        self.counts["bad"] += 1
        if len(self.bad) < BAD_SHOWN_MAX:
            self.bad.append(bad)
        if bad.request_id is not None:
            at_ms = bad.at_ms if bad.at_ms is not None else self._last_ms
            self._flaw(bad.request_id, bad.reason, self._start_ms if at_ms is None else at_ms)

    def _follow(self, at_ms: int) -> None:
        self.ascending &= self._last_ms is None or self._last_ms <= at_ms
        self._last_ms = at_ms
        if at_ms < self._end_ms:
            self.newest_ms = at_ms if self.newest_ms is None else max(self.newest_ms, at_ms)

    def _flaw(self, request_id: str, reason: str, at_ms: int) -> None:
        self._flaws.setdefault(name_of(request_id), (reason, at_ms))

    def _group(self, name: str) -> Group:
        rows = sorted(self._rows.get(name, {}).values(), key=lambda row: (row.at_ms, row.identity))
        reason, at_ms = self._flaws.get(name, ("", 0))
        return Group(request_of(name), tuple(rows), (reason,) if reason else (), at_ms)
