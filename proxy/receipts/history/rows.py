"""One page of a billing history, JSON or CSV, as rows (facts: providers.md, 2.2 and 2.3).

A row that cannot be read becomes a `BadRow` and does not spoil the page. Amounts stay exact: they
are added up first and rounded once (`groups`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final, Literal, NamedTuple

from policies.money import EXACT_MAX, NANO_PER_UNIT
from proxy.prices.figures import TOKENS_MAX, decimal

Form = Literal["json", "csv"]

#: Ids are 41 characters long (`chatcmpl-` and 32 hex), names of currencies 15, SKUs up to 60.
TEXT_CHARACTERS_MAX: Final = 200
#: What of a value from outside stands in a reason.
_SHOWN_MAX: Final = 60
# No number of a row needs more; one of a million digits would only cost time.
_NUMBER_CHARACTERS_MAX: Final = 100
# The smallest amounts seen are 6e-7; with this and the bound above, sums of 100 digits are exact.
_EXPONENT_MIN: Final = -60
_DIGITS_MAX: Final = 18
#: Sums up amounts without ever rounding.
EXACTLY: Final = Context(prec=100)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DETAILS: Final = "inferenceDetails"
#: Without these, a table is none of rows.
_CSV_NEEDS: Final = frozenset({"timestamp", "amount", "currency"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: one SKU of one request, or something that no request explains."""

    #: In the provider's time, since the epoch.
    at_ms: int
    #: Of the currency, as the row has it, with the sign changed: a debit is positive here.
    billed: Decimal
    currency: str
    sku: str = ""
    #: For models, millions of tokens.
    units: Decimal | None = None
    #: None: there are no inference details, as with images and purchases.
    request_id: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    notes: str = ""

    @property
    def identity(self) -> str:
        """What tells this row from others; the same whichever endpoint and form it came by.

        Notes and tokens are left out, because the two endpoints need not write them alike.
        """
        units = "" if self.units is None else plain(self.units)
        parts = [self.at_ms, self.sku, units, plain(self.billed), self.currency]
        return json.dumps([*parts, self.request_id or ""], separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be taken for money."""

    #: A sentence without a full stop, for the log.
    reason: str
    #: Whose receipt does not add up without it; None: it does not say.
    request_id: str | None = None
    at_ms: int | None = None


class Numbering(NamedTuple):
    """What the older endpoint says of its numbered pages."""

    total: int
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page, as far as it could be read."""

    #: In the order of the page.
    entries: tuple[Row | BadRow, ...]
    #: Where the next page is; None: this is the last one, or pages are numbered.
    cursor: str | None = None
    #: Whether it says at all if there is a next page by cursor.
    tells_cursor: bool = False
    numbering: Numbering | None = None


class NotAPage(ValueError):
    """What came is no page of a billing history; the message says why."""


def read_page(body: bytes, form: Form, headers: Mapping[str, str]) -> Page:
    """Return what a page says.

    Args:
        body: the whole body, not compressed.
        form: in which form it was asked for; the content type decides if it names one of the two.
        headers: the answer's, found in any case.

    Raises:
        NotAPage: it is HTML, cut, nested too deeply, or something else altogether.
    """
    kind = headers.get("content-type", "")
    if "json" in kind or ("csv" not in kind and form == "json"):
        return _json_page(body, headers)
    return _csv_page(body, headers)


def plain(number: Decimal) -> str:
    """Return the one decimal text of a number: no exponent, no zeros at the end."""
    return format(EXACTLY.normalize(number), "f") if number else "0"


# --- JSON ---


def _json_page(body: bytes, headers: Mapping[str, str]) -> Page:
    try:
        page = json.loads(body, parse_float=_number, parse_int=_number, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise NotAPage(f"it is not JSON: {shown(str(error))}") from None
    if not isinstance(page, dict):
        raise NotAPage("it is not a JSON object")
    if not isinstance(page.get("data"), list):
        raise NotAPage("it has no list called 'data'")
    cursor = page.get("nextCursor")
    if cursor is not None and not isinstance(cursor, str):
        raise NotAPage("its 'nextCursor' is not text")
    pagination = page.get("pagination")
    return Page(
        entries=tuple(_entry(row) for row in page["data"]),
        cursor=cursor or None,
        tells_cursor="nextCursor" in page,
        numbering=_numbering(pagination, "total", "totalPages") or _numbering_of(headers),
    )


def _number(text: str) -> Decimal | str:
    """Return a JSON number; one that no row can mean stays text, so that its row alone is bad."""
    if len(text) > _NUMBER_CHARACTERS_MAX:
        return text
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _numbering(said: object, total: str, pages: str) -> Numbering | None:
    if not isinstance(said, Mapping):
        return None
    counts = _count(said.get(total)), _count(said.get(pages))
    return None if counts[0] is None or counts[1] is None else Numbering(counts[0], counts[1])


def _numbering_of(headers: Mapping[str, str]) -> Numbering | None:
    return _numbering(headers, "x-pagination-total", "x-pagination-total-pages")


# --- CSV ---


def _csv_page(body: bytes, headers: Mapping[str, str]) -> Page:
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (ValueError, csv.Error) as error:
        raise NotAPage(f"it is not CSV: {shown(str(error))}") from None
    lines = [line for line in lines if line]
    if lines and not {name.strip() for name in lines[0]} >= _CSV_NEEDS:
        raise NotAPage("its first line does not name timestamp, amount and currency")
    return Page(
        entries=tuple(_csv_entries(lines)),
        cursor=headers.get("x-next-cursor") or None,
        # The header is absent on the last page.
        tells_cursor=True,
        numbering=_numbering_of(headers),
    )


def _csv_entries(lines: list[list[str]]) -> Iterator[Row | BadRow]:
    names = [name.strip() for name in lines[0]] if lines else []
    for line in lines[1:]:
        cells = dict(zip(names, line, strict=False))
        details = {
            name.removeprefix(f"{_DETAILS}."): cells.pop(name) or None
            for name in names
            if name.startswith(f"{_DETAILS}.") and name in cells
        }
        entry = _entry({**cells, _DETAILS: details})
        if len(line) != len(names):
            reason = f"the row has {len(line)} cells, and its table has {len(names)} columns"
            yield BadRow(reason, entry.request_id, entry.at_ms)
            continue
        yield entry


# --- A row ---


def _entry(raw: object) -> Row | BadRow:
    if not isinstance(raw, Mapping):
        return BadRow(f"a row is not an object: {shown(repr(raw))}")
    details = raw.get(_DETAILS)
    at_ms = _moment(raw.get("timestamp"))
    request_id: str | None = None
    try:
        request_id = _request_id(details)
        return _row(raw, details if isinstance(details, Mapping) else {}, at_ms, request_id)
    except ValueError as error:
        return BadRow(f"a row has no use: {error}", request_id, at_ms)


def _row(
    raw: Mapping[str, Any], details: Mapping[str, Any], at_ms: int | None, request_id: str | None
) -> Row:
    if at_ms is None:
        raise ValueError(f"its time is {shown(repr(raw.get('timestamp')))}")
    currency = raw.get("currency")
    if not isinstance(currency, str) or not _is_name(currency.strip()):
        raise ValueError(f"its currency is {shown(repr(currency))}")
    return Row(
        at_ms=at_ms,
        # Debits are negative there (trap 3); a zero has no sign here.
        billed=_amount(raw.get("amount")).copy_negate() or Decimal(0),
        currency=currency.strip().upper(),
        sku=_text(raw.get("sku")),
        # Trap 5: the older documents call it `unit`.
        units=_units(raw.get("units", raw.get("unit"))),
        request_id=request_id,
        prompt_tokens=_count(details.get("promptTokens"), TOKENS_MAX),
        completion_tokens=_count(details.get("completionTokens"), TOKENS_MAX),
        notes=_text(raw.get("notes")),
    )


def _request_id(details: object) -> str | None:
    if not isinstance(details, Mapping):
        if details is None:
            return None
        raise ValueError(f"its inference details are {shown(repr(details))}")
    request_id = details.get("requestId")
    if request_id is None or request_id == "":
        return None
    if not isinstance(request_id, str) or not _is_name(request_id):
        raise ValueError(f"its request id is {shown(repr(request_id))}")
    return request_id


def _amount(value: object) -> Decimal:
    """Return an amount that counters can hold and that can be added up exactly.

    Raises:
        ValueError: it is none.
    """
    amount = _figure(value, "its amount")
    if abs(amount) * NANO_PER_UNIT > EXACT_MAX:
        raise ValueError(f"its amount is absurd: {shown(str(amount))}")
    return amount


def _figure(value: object, what: str) -> Decimal:
    """Return a number of a length that sums stay exact with.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, str) and len(value) > _NUMBER_CHARACTERS_MAX:
        raise ValueError(f"{what} has too many digits")
    number = decimal(value, what)
    if number and number.adjusted() > _DIGITS_MAX:
        raise ValueError(f"{what} is absurd: {shown(str(number))}")
    if number and int(number.as_tuple().exponent) < _EXPONENT_MIN:
        raise ValueError(f"{what} is finer than any price: {shown(str(number))}")
    return number


def _units(value: object) -> Decimal | None:
    """Return units if they say something; nothing is charged by them (trap 4)."""
    try:
        return _figure(value, "units")
    except ValueError:
        return None


def _count(value: object, count_max: int = EXACT_MAX) -> int | None:
    """Return a whole number from zero on, as number or text; None for anything else."""
    try:
        number = _figure(value, "a count")
    except ValueError:
        return None
    is_count = 0 <= number <= count_max and number == number.to_integral_value()
    return int(number) if is_count else None


def _moment(value: object) -> int | None:
    """Return a time in ms since the epoch; one without a zone is in UTC."""
    if not isinstance(value, str) or len(value) > _NUMBER_CHARACTERS_MAX:
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return None


def _is_name(text: str) -> bool:
    return 0 < len(text) <= TEXT_CHARACTERS_MAX and text.isprintable()


def _text(value: object) -> str:
    """Return text for people, clean and short; nothing is decided by it."""
    if not isinstance(value, str):
        return ""
    return "".join(sign for sign in value[:TEXT_CHARACTERS_MAX] if sign.isprintable())


def shown(text: str) -> str:
    """Return what a message shows of a text from outside: clean and short."""
    clean = "".join(sign if sign.isprintable() else " " for sign in text[: _SHOWN_MAX + 1])
    return clean if len(clean) <= _SHOWN_MAX else f"{clean[: _SHOWN_MAX - 3]}..."
