"""The ledger's Lua scripts, read from the files beside this one; each has functions in front."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Final

_FOLDER: Final = files("policies.ledger") / "lua"
NAMES: Final = (
    "reserve",
    "move",
    "extend",
    "overdue",
    "note",
    "once",
    "stand",
    "report",
    "close",
    "act",
    "restore_call",
    "restore_counter",
)
#: What stands in front of a script, behind the counter's functions that every script has.
PRELUDES: Final = {
    "move": ("booking",),
    "restore_call": ("booking", "restoring"),
    "restore_counter": ("restoring",),
}


@dataclass(frozen=True, slots=True)
class Script:
    """One script and the digest that Redis knows it by."""

    name: str
    source: bytes
    sha: bytes


@cache
def script(name: str) -> Script:
    """Return a script by its file's name, without the ending."""
    parts = ("counter", *PRELUDES.get(name, ()), name)
    source = b"\n".join((_FOLDER / f"{part}.lua").read_bytes() for part in parts)
    # Redis names scripts by SHA-1; nothing is secured by it.
    return Script(name, source, sha1(source, usedforsecurity=False).hexdigest().encode())
