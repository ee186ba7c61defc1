"""What stands behind the `?` of an address: read by one model, which the document shows too."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from aiohttp import web
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)

from policies.lined_yaml import place_text
from policies.schema_faults import fault_text
from policies.windows import parse_duration_ms
from proxy.admin.cursors import CHARACTERS_MAX
from proxy.admin.replies import Refused
from proxy.admin.schemas import Fault
from proxy.archive.filters import TEXT_MAX

Model = TypeVar("Model", bound="Query")
PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 500
_DIGITS: Final = re.compile(r"[0-9]{1,9}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_AGO: Final = re.compile(r"[0-9]{1,9}(ms|s|m|h|d)")
_NOT_A_TIME: Final = (
    "is not a time: write 2026-11-23T13:00:00Z, 2026-11-23 (its first moment in UTC), "
    "or how long ago, such as 30d"
)


class Query(BaseModel):
    """What may stand there; unknown names are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Query):
    """Nothing."""


# --- The forms that values have ---


def whole_number(value: object) -> object:
    """Return the number that digits stand for."""
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError(f"'{value:.40}' is not a number: write digits, such as 100")
    return int(value) if isinstance(value, str) else value


def _moment_ms(value: object, info: ValidationInfo) -> object:
    """Return milliseconds since 1970; the time that it is now is the context's."""
    if not isinstance(value, str):
        return value
    if _AGO.fullmatch(value):
        now_ms: int = info.context["now_ms"] if info.context is not None else 0
        return max(0, now_ms - parse_duration_ms(value))
    if _DATE.fullmatch(value):
        value += "T00:00:00Z"
    if not _TIME.fullmatch(value):
        # A '+' of a time zone becomes a space where nobody wrote %2B.
        hint = "; a + is written %2B in an address" if " " in value else ""
        raise ValueError(_NOT_A_TIME + hint)
    try:
        found = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(_NOT_A_TIME) from None
    return max(0, int(found.timestamp() * 1000))


def _yes_or_no(value: object) -> object:
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, str):
        raise ValueError(f"'{value:.40}' is neither true nor false")  # noqa: TRY004 - It is a text.
    return value


def _wanted(value: str) -> str:
    if not value:
        raise ValueError("is empty: leave it out to ask for all")
    if len(value) > TEXT_MAX:
        raise ValueError(f"is longer than {TEXT_MAX} characters, and no name is")
    # What stands in a header or a log may not break its line; no database keeps half a character.
    if not value.isprintable():
        raise ValueError("holds a character that no name has: write what is printed")
    return value


Limit = Annotated[int, Field(ge=1, le=PAGE_MAX), BeforeValidator(whole_number)]
Flag = Annotated[bool, BeforeValidator(_yes_or_no), WithJsonSchema({"type": "boolean"})]
#: A name or an id, exactly.
Wanted = Annotated[
    str,
    AfterValidator(_wanted),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": TEXT_MAX}),
]
#: Milliseconds since 1970, of a time, a date, or how long ago.
Moment = Annotated[
    int,
    BeforeValidator(_moment_ms),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "format": "date"},
                {"type": "string", "pattern": f"^{_AGO.pattern}$"},
            ],
            "examples": ["2026-11-23T13:00:00Z", "2026-11-23", "30d"],
        }
    ),
]
#: How a cursor stands in the document.
CURSOR_SCHEMA: Final = WithJsonSchema({"type": "string", "maxLength": CHARACTERS_MAX})


def read_query(request: web.Request, model: type[Model], now_ms: int) -> Model:
    """Return what stands in a request's address.

    Raises:
        Refused: it is not what was expected; each mistake is named.
    """
    values: dict[str, Any] = {}
    mistakes: list[Fault] = []
    for name, value in request.query.items():
        if name in values:
            mistakes.append(Fault(field=name, message="is given twice: give it once"))
        values[name] = value
    try:
        found = model.model_validate(values, context={"now_ms": now_ms})
    except ValidationError as error:
        known = list(model.model_fields)
        mistakes += [
            Fault(field=place_text(fault["loc"]), message=fault_text(fault, known))
            for fault in error.errors(include_url=False)
        ]
        raise invalid(mistakes) from error
    if mistakes:
        raise invalid(mistakes)
    return found


def invalid(mistakes: list[Fault]) -> Refused:
    """Return the answer to a request with mistakes in it."""
    said = "; ".join(f"{each.field or 'the body'} {each.message}" for each in mistakes)
    return Refused(400, "invalid", said, mistakes)
