"""Answers of billing endpoints about an account: decoded exactly, or refused with a reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Final

from policies.errors import AmountOutOfRange
from policies.money import nano_from_decimal
from proxy.wallets.quota import Reading, Report, SlowDown, Unavailable, Unreadable

STATUS_OK: Final = 200
TOO_MANY_REQUESTS: Final = frozenset({429})
#: There is no such thing, it is gone, or the key may not see it.
_NOT_FOR_US: Final = frozenset({401, 403, 404, 410})
#: A provider that asks for a longer pause is asked again after an hour all the same.
PAUSE_MS_MAX: Final = 3_600_000
#: What a message shows of a value that came from outside, in characters.
_SHOWN_MAX: Final = 60
# `Decimal` would also take underscores, blanks and the digits of other scripts.
_NUMBER: Final = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,60})?(?:[eE][+-]?\d{1,4})?", re.ASCII)
_SECONDS: Final = re.compile(r"\d{1,12}", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The end of the year 9999: no later time can be written.
_AT_MS_MAX: Final = 253_402_300_799_000
# A word of the provider's, such as `monitored`; it becomes a part of messages.
_WORD: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)


class NotAReport(ValueError):
    """What came cannot be taken for a report; the message says why."""


def read_report(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    interpret: Callable[[Mapping[str, object]], Report],
    *,
    slow: frozenset[int] = TOO_MANY_REQUESTS,
) -> Reading:
    """Return what an answer says; never raises.

    Args:
        status: the HTTP status.
        headers: the answer's.
        body: not decoded yet.
        interpret: makes a report of the JSON object in the body, or raises `NotAReport`.
        slow: by which statuses the provider asks for fewer requests.
    """
    if status in slow:
        return SlowDown(pause_ms(headers))
    if status in _NOT_FOR_US:
        return Unavailable(f"the provider answers with status {status}: check the key and the plan")
    if status != STATUS_OK:
        return Unreadable(f"the provider answers with status {status}")
    try:
        return interpret(_document(body))
    except NotAReport as fault:
        return Unreadable(str(fault))


def pause_ms(headers: Mapping[str, str]) -> int | None:
    """Return how long `Retry-After` (RFC 9110, 10.2.3) says to wait; None: it does not.

    A date counts from the answer's own `Date`, so that no clock of ours has to agree with it.
    """
    text = header(headers, "retry-after") or ""
    if _SECONDS.fullmatch(text):
        return min(int(text) * 1000, PAUSE_MS_MAX)
    try:
        until, now = (parsedate_to_datetime(t) for t in (text, header(headers, "date") or ""))
        wait_ms = (until - now) // timedelta(milliseconds=1)
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0, wait_ms), PAUSE_MS_MAX)


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header by its name in lower case, however the mapping spells it."""
    found = headers.get(name)
    if found is None:
        found = next((value for key, value in headers.items() if key.lower() == name), None)
    return None if found is None else found.strip()


def _document(body: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(body, parse_float=_exact, parse_constant=_refused)
    except NotAReport:
        raise
    except (ValueError, RecursionError):
        start = body[:80].decode(errors="replace")
        raise NotAReport(f"the answer is not JSON: {_shown(start)}") from None
    return mapping(found, "the answer")


def _exact(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise NotAReport(f"{_shown(text)} is no number that an amount can be")
    return Decimal(text)


def _refused(text: str) -> object:
    raise NotAReport(f"{text} is not a number")


def data_of(answer: Mapping[str, object]) -> Mapping[str, object]:
    """Return what an answer is about: its `data`, or itself where it has no envelope.

    Raises:
        NotAReport: it says that it failed, or its data are no object.
    """
    if answer.get("success", True) is not True:
        raise NotAReport(f"the provider says success: {_shown(answer['success'])}")
    return mapping(answer["data"], "data") if "data" in answer else answer


def mapping(value: object, what: str) -> Mapping[str, object]:
    """Return a JSON object.

    Raises:
        NotAReport: it is something else.
    """
    if not isinstance(value, Mapping):
        raise NotAReport(f"{what}: {_shown(value)} is not an object")
    return value


def truth(value: object, what: str) -> bool:
    """Return a JSON true or false.

    Raises:
        NotAReport: it is something else.
    """
    if not isinstance(value, bool):
        raise NotAReport(f"{what}: {_shown(value)} is neither true nor false")
    return value


def decimal(value: object, what: str) -> Decimal:
    """Return a number, or one in a text.

    Raises:
        NotAReport: it is something else.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    raise NotAReport(f"{what}: {_shown(value)} is not a number")


def nano(value: object, what: str) -> int:
    """Return nano-units, rounded down: what is reported as left must not become more.

    Raises:
        NotAReport: it is no number, or more than can be counted exactly.
    """
    number = decimal(value, what)
    try:
        # Rounding up what is owed is rounding down what is there. `copy_negate` changes no digit.
        return -nano_from_decimal(number.copy_negate())
    except (AmountOutOfRange, ArithmeticError):
        raise NotAReport(f"{what}: {_shown(value)} is more than can be counted") from None


def nano_above_zero(value: object, what: str) -> int:
    """Return nano-units that cannot be negative, rounded down.

    Raises:
        NotAReport: it is no such number.
    """
    amount = nano(value, what)
    if amount < 0:
        raise NotAReport(f"{what}: {_shown(value)} is negative")
    return amount


def at_ms(value: object) -> int | None:
    """Return an ISO time in milliseconds since the epoch; None for anything else: it only informs."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    # Providers write UTC, one or the other without saying so.
    aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    since_ms = (aware - _EPOCH) // timedelta(milliseconds=1)
    return since_ms if 0 < since_ms <= _AT_MS_MAX else None


def word(value: object, what: str) -> str | None:
    """Return a word of the provider's in lower case; None: it says nothing.

    Raises:
        NotAReport: it is no single word.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not _WORD.fullmatch(value.strip().lower()):
        raise NotAReport(f"{what}: {_shown(value)} is not a word")
    return value.strip().lower()


def plain(number: Decimal) -> str:
    """Return a number as decimal text without exponent and trailing zeros: always the same text."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _shown(value: object) -> str:
    """Return a value as a message may show it: it came from outside and may be long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return "a value that cannot be shown"
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."
