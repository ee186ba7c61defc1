"""Cursors: where the next part of a list begins, as a text that only the list itself can read."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Final

#: Of the text; ours are far shorter.
CHARACTERS_MAX: Final = 256
#: What the archive's numbers, and times, stay below.
_NUMBER_MAX: Final = 2**63 - 1


def cursor(kind: str, *place: int | str) -> str:
    """Return the text for a place in a kind of list."""
    raw = json.dumps([kind, *place], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def place_of(kind: str, text: str) -> list[int | str]:
    """Return the place that a text stands for.

    Raises:
        ValueError: it is no cursor of this kind of list.
    """
    try:
        if len(text) > CHARACTERS_MAX:
            raise ValueError("too long")
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = json.loads(raw)
    except (ValueError, binascii.Error, RecursionError):
        found = None
    if not isinstance(found, list) or found[:1] != [kind] or not all(map(_is_place, found)):
        raise ValueError("is none that this list gave: leave it out to begin anew")
    return found[1:]


def number_of(kind: str, text: str) -> int:
    """Return the place in a list that is ordered by one number.

    Raises:
        ValueError: it is no cursor of this kind of list.
    """
    match place_of(kind, text):
        case [int(number)]:
            return number
        case _:
            raise ValueError("is none that this list gave: leave it out to begin anew")


def _is_place(part: object) -> bool:
    if isinstance(part, bool):
        return False
    return isinstance(part, str) or (isinstance(part, int) and 0 <= part <= _NUMBER_MAX)
