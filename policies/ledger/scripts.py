"""The ledger's Lua scripts, read from the files beside this one; each has the counter's functions in front."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Final

_FOLDER: Final = files("policies.ledger") / "lua"
NAMES: Final = ("reserve", "move", "extend", "overdue", "note", "once", "stand", "report", "close")


@dataclass(frozen=True, slots=True)
class Script:
    """One script and the digest that Redis knows it by."""

    name: str
    source: bytes
    sha: bytes


@cache
def script(name: str) -> Script:
    """Return a script by its file's name, without the ending."""
    prelude = (_FOLDER / "counter.lua").read_bytes()
    source = prelude + b"\n" + (_FOLDER / f"{name}.lua").read_bytes()
    # Redis names scripts by SHA-1; nothing is secured by it.
    return Script(name, source, sha1(source, usedforsecurity=False).hexdigest().encode())
