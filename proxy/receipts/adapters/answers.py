"""What an answer to a look-up says before any provider's own form of a receipt matters."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, Final

from proxy.receipts.adapters.figures import Unreadable, shown
from proxy.receipts.receipt import Pending, Result, SetAside, SlowDown, UnknownId

#: The largest receipt in the documents has 2 kB.
BODY_BYTES_MAX: Final = 1024 * 1024
#: Who asks for a longer pause is asked again after an hour all the same.
PAUSE_MS_MAX: Final = 3_600_000

_OK: Final = 200
#: A form of id that an endpoint does not take is one under which it does not know the call.
_NO_SUCH_ID: Final = frozenset({400, 404})
_KEY_REFUSED: Final = frozenset({401, 403})
_SECONDS: Final = re.compile(r"\d{1,12}(?:\.\d{1,9})?", re.ASCII)
_CAPITAL: Final = re.compile(r"[A-Z]")


def declined(
    status: int, headers: Mapping[str, str], *, slow: frozenset[int], key: str
) -> Result | None:
    """Return what an answer says by its status alone; None: its body tells more.

    Args:
        status: the HTTP status.
        headers: in whatever case.
        slow: the statuses by which this provider asks for fewer requests.
        key: the setting with the key that asked.
    """
    if status == _OK:
        return None
    if status in slow:
        return SlowDown(pause_ms(headers))
    if status in _NO_SUCH_ID:
        return UnknownId()
    if status in _KEY_REFUSED:
        return SetAside(f"the provider refused the key (status {status}): check {key}")
    return Pending(f"the provider answered with status {status}")


def pause_ms(headers: Mapping[str, str]) -> int | None:
    """Return how long `Retry-After` (RFC 9110, 10.2.3) says to wait; None: it does not.

    A date counts from the answer's own `Date`, so that no clock of ours has to agree with it.
    """
    text = _header(headers, "retry-after")
    if text is None:
        return None
    if _SECONDS.fullmatch(text):
        return min(math.ceil(Decimal(text) * 1000), PAUSE_MS_MAX)
    try:
        then, now = (parsedate_to_datetime(each) for each in (text, _header(headers, "date") or ""))
        pause_s = (then - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0, int(pause_s * 1000)), PAUSE_MS_MAX)


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value.strip() for key, value in headers.items() if key.lower() == name), None)


def document(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object in a body, money as `Decimal`; what is not finite stays, as not a number.

    Raises:
        Unreadable: it is something else.
    """
    if len(body) > BODY_BYTES_MAX:
        raise Unreadable(f"the answer has {len(body)} bytes, which no receipt has")
    try:
        found = json.loads(body, parse_float=_number, parse_constant=_number)
    except (ValueError, RecursionError):
        start = body[:80].decode(errors="replace")
        raise Unreadable(f"the answer is not JSON: {shown(start)}") from None
    return mapping(found, "the answer")


def _number(text: str) -> Decimal:
    """Return a number; one that is beyond all numbers must not spoil the fields beside it."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def unwrapped(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an answer is about: its `data`, or itself where it has none.

    Raises:
        Unreadable: the data are no object.
    """
    if "data" not in answer:
        return answer
    return {} if answer["data"] is None else mapping(answer["data"], "data")


def unready(answer: Mapping[str, Any]) -> Result:
    """Return what an answer means that has no receipt, though its status is that of a success."""
    error = answer.get("error")
    if isinstance(error, Mapping) and error.get("code") in (404, "404"):
        return UnknownId()
    message = error.get("message") if isinstance(error, Mapping) else answer.get("message")
    said = f": {shown(message)}" if isinstance(message, str) else ""
    return Pending(f"the provider does not tell of the call yet{said}")


def mapping(value: object, what: str) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        Unreadable: it is something else.
    """
    if not isinstance(value, Mapping):
        raise Unreadable(f"{what} is not an object: {shown(value)}")
    return value


def member(found: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - Whatever the body holds.
    """Return a member by its name or by that name in snake case; None: it is null or not there."""
    value = found.get(name)
    return value if value is not None else found.get(_CAPITAL.sub(_lowered, name))


def _lowered(capital: re.Match[str]) -> str:
    return f"_{capital[0].lower()}"


def check_id(
    told: object, generation_ids: Sequence[str], is_generation_id: Callable[[str], bool]
) -> None:
    """Refuse a receipt that is about another call.

    Providers answer with the id by which they bill. That is one of the call's, except where none of
    those which are known is of that kind: an answer may be cut before it has told its own, and what
    is left is the id of the request in its headers, which finds the receipt as well.

    Args:
        told: which call the receipt says it is about; null and nothing mean that it does not say.
        generation_ids: all ids of the call that are known.
        is_generation_id: whether an id can be one by which the provider bills.

    Raises:
        Unreadable: it is about another call.
    """
    if told is None or told == "" or told in generation_ids:
        return
    knows_its_own = any(is_generation_id(each) for each in generation_ids)
    if knows_its_own or not isinstance(told, str) or not is_generation_id(told):
        raise Unreadable(f"the receipt names another call's id: {shown(told)}")
