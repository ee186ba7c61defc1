"""What short texts in policies and configuration mean: names, shares, sizes, addresses.

Each function returns a value, or raises `ValueError` with what is wrong and what to write instead.
That holds for values of a wrong type, too: pydantic, which calls these, takes a `TypeError` for a
fault of the program.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Collection, Iterable
from typing import Final, TypeVar
from urllib.parse import urlsplit

from policies.money import EXACT_MAX
from policies.units import USD, parse_limit
from policies.windows import parse_duration_ms

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PERCENT: Final = re.compile(r"\s*([0-9]{1,3})\s*%\s*")
_SIZE: Final = re.compile(r"\s*([0-9]{1,15})\s*([A-Za-z]*)\s*")
_EACH: Final = ("user", "key", "model", "session")
Values = TypeVar("Values", bound=Collection[object])
KIB: Final = 1024
_SIZES: Final = {
    "": 1,
    "B": 1,
    "kB": 1_000,
    "MB": 1_000_000,
    "GB": 1_000_000_000,
    "KiB": KIB,
    "MiB": KIB * KIB,
    "GiB": KIB * KIB * KIB,
}
PERCENT_MAX: Final = 100
# The longest e-mail address that there can be has 254 characters.
TEXT_CHARS_MAX: Final = 256


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a question that names the nearest known word; empty when none is near."""
    lower = {each.lower(): each for each in sorted(known)}
    found = difflib.get_close_matches(word.lower(), lower, n=1)
    return f"did you mean '{lower[found[0]]}'?" if found else ""


def suggestion(word: str, known: Collection[str]) -> str:
    """Return the nearest known word, or what is known when none is near."""
    everything = f"there is {', '.join(sorted(known))}" if known else "there is none"
    return nearest(word, known) or everything


def name(text: str) -> str:
    """Return the name of a team, a budget or the like: it stands in URLs, keys and commands."""
    if _NAME.fullmatch(text):
        return text
    raise ValueError(
        f"'{text}' is not a name: use letters, digits, '_', '.' and '-', "
        "up to 64, with a letter or a digit first"
    )


def plain_text(text: str) -> str:
    """Return a text that is not empty, not endless, and prints as one line."""
    stripped = text.strip()
    if not stripped:
        raise ValueError("is empty: write a value, or remove it")
    if len(stripped) > TEXT_CHARS_MAX or not stripped.isprintable():
        raise ValueError(f"is not a line of text of at most {TEXT_CHARS_MAX} characters")
    return stripped


def not_empty(values: Values) -> Values:
    """Return values that narrow something down: none at all would mean the opposite, all."""
    if not values:
        raise ValueError("is empty, and would match everything: name something, or remove it")
    return values


def limit(text: object) -> tuple[str, int]:
    """Return the unit and the amount of a text such as `500 USD`."""
    if not isinstance(text, str):
        raise ValueError("must be a single text, such as '500 USD'")  # noqa: TRY004 - See above.
    return parse_limit(text)


def share(text: object) -> int:
    """Return the number in a text such as `5%`, which may be 0; one that a program gives is unchanged."""
    match = _PERCENT.fullmatch(text) if isinstance(text, str) else None
    if isinstance(text, int):
        return text
    if match and int(match[1]) <= PERCENT_MAX:
        return int(match[1])
    raise ValueError(f"'{text}' is not a share: write a whole percentage from 0% to 100%")


def percent(text: object) -> int:
    """Return the number in a text such as `50%`."""
    match = _PERCENT.fullmatch(text) if isinstance(text, str) else None
    if match and 1 <= int(match[1]) <= PERCENT_MAX:
        return int(match[1])
    raise ValueError(f"'{text}' is not a share: write a whole percentage from 1% to 100%")


def each(text: str) -> str:
    """Return what a budget keeps counters for: `user`, `key`, `model`, `session` or `tag:NAME`."""
    if text in _EACH or (text.startswith("tag:") and text.removeprefix("tag:").strip()):
        return text
    raise ValueError(
        f"'{text}' is nothing to count for each of: use {', '.join(_EACH)} or tag:NAME; "
        f"{nearest(text, _EACH)}".rstrip("; ")
    )


def timezone(text: str) -> str:
    """Return the name of a time zone that this machine knows."""
    known = zoneinfo.available_timezones()
    if text in known:
        return text
    raise ValueError(
        f"'{text}' is not a time zone: write a name such as Europe/Berlin or UTC; "
        f"{nearest(text, known)}".rstrip("; ")
    )


def overrun(text: str) -> str:
    """Return the text if it is a share of the limit (`10%`, `0%`) or an amount (`5 USD`)."""
    match = _PERCENT.fullmatch(text)
    if match and int(match[1]) <= PERCENT_MAX:
        return text
    if match or "%" in text:
        raise ValueError(f"'{text}' is not a share of the limit: write 0% to 100%, or an amount")
    parse_limit(text)
    return text


def overrun_amount(text: str, unit: str, limit: int) -> int:
    """Return what an `overrun` text comes to, for a budget of this unit and limit."""
    match = _PERCENT.fullmatch(text)
    if match:
        own_unit, amount = unit, limit * int(match[1]) // 100
    else:
        own_unit, amount = parse_limit(text)
    if own_unit != unit:
        raise ValueError(f"is in {own_unit}, but the limit is in {unit}: use the limit's unit")
    if limit + amount > EXACT_MAX:
        raise ValueError("and the limit are more together than can be counted exactly: lower one")
    return amount


def dollars(value: object, verb: str) -> int | None:
    """Return nano-dollars for `{verb: '1 USD'}` or the text `verb: 1 USD`; None for `refuse`."""
    if value == "refuse":
        return None
    amount: object = None
    if isinstance(value, str) and value.partition(":")[0].strip() == verb:
        amount = value.partition(":")[2].strip()
    if isinstance(value, dict) and set(value) == {verb}:
        amount = value[verb]
    if not isinstance(amount, str):
        said = f"is not known: write refuse or {{{verb}: '1 USD'}}"
        raise ValueError(said)  # noqa: TRY004 - See above.
    unit, nano = parse_limit(amount)
    if unit != USD or nano == 0:
        raise ValueError(f"'{amount}' must be an amount of USD above zero, such as '1 USD'")
    return nano


def tags(value: object) -> object:
    """Return tags given as a list of `name=value` texts as a mapping; others unchanged."""
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        return value
    if not all("=" in tag for tag in value):
        raise ValueError("is not a list of tags: write name=value for each")
    pairs = [tag.partition("=") for tag in value]
    by_name = {tag_name.strip(): tag.strip() for tag_name, _, tag in pairs}
    if len(by_name) < len(pairs):
        raise ValueError("names a tag twice: a call has one value for each, so none would match")
    return by_name


def duration_ms(value: object) -> object:
    """Return milliseconds for a text such as `3m`; a number that a program gives is unchanged."""
    return parse_duration_ms(value) if isinstance(value, str) else value


def size(value: object) -> object:
    """Return bytes for a text such as `64 MiB`; a number that a program gives is unchanged."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value)
    if match is None or match[2] not in _SIZES:
        raise ValueError(f"'{value}' is not a size: write a number and a unit, such as '64 MiB'")
    return int(match[1]) * _SIZES[match[2]]


def secret(text: str) -> str:
    """Return a secret that a header can carry; its text is in no message."""
    stripped = text.strip()
    if not stripped.isprintable():
        raise ValueError("holds a line break or a control character: a header cannot carry it")
    return stripped


def address(text: str, schemes: tuple[str, ...]) -> str:
    """Return an address with one of the schemes; it may hold secrets and is in no message."""
    stripped = text.strip()
    try:
        parts = urlsplit(stripped)
        port = parts.port
    except ValueError:
        raise ValueError(f"is not an address: write it as in {schemes[0]}://host:1234") from None
    if parts.scheme not in schemes:
        raise ValueError(f"begins with no known scheme: use {', '.join(schemes)}")
    if port == 0 or not (parts.netloc or parts.path.strip("/")):
        raise ValueError(f"is not complete: write it as in {parts.scheme}://host:1234")
    return stripped


def base_url(text: str) -> str:
    """Return a provider's address without a slash at its end."""
    url = address(text, ("https", "http"))
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be scheme, host and path alone, as in https://host/api")
    return url.rstrip("/")


def path(text: str) -> str:
    """Return a path below an address."""
    if text.startswith("/") and text.isprintable() and " " not in text:
        return text
    raise ValueError(f"'{text}' is not a path: begin it with /")
