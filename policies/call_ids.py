"""Ids of calls: they sort by the time at which a call came in, and tell it."""

from __future__ import annotations

import secrets
from typing import Final

# Crockford's alphabet: no letter that is taken for a digit when an id is read out.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PREFIX: Final = "call_"
_CHARACTERS: Final = 26
_CHANCE_BITS: Final = 80
_VALUES: Final = {letter: value for value, letter in enumerate(_ALPHABET)}


def new_call_id(now_ms: int) -> str:
    """Return an id that sorts by time and that nobody can guess: 48 bits of time, 80 of chance."""
    number = (now_ms << _CHANCE_BITS) | secrets.randbits(_CHANCE_BITS)
    return _PREFIX + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def earliest_call_id(at_ms: int) -> str:
    """Return what sorts before every id of a call that came in at this time or later."""
    number = at_ms << _CHANCE_BITS
    return _PREFIX + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def came_in_ms(call_id: str) -> int | None:
    """Return when the call of an id came in, by its worker's clock; None: the id does not tell."""
    letters = call_id.removeprefix(_PREFIX)
    if len(letters) != _CHARACTERS or len(letters) == len(call_id):
        return None
    number = 0
    for letter in letters:
        value = _VALUES.get(letter)
        if value is None:
            return None
        number = number << 5 | value
    return number >> _CHANCE_BITS
