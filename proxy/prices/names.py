"""One model, many spellings: what a caller may write, and what a price list has."""

from __future__ import annotations

import re
from typing import Final

#: Longer names are no models; it bounds what is matched, and kept.
NAME_CHARACTERS_MAX: Final = 256

_PUBLISHER: Final = re.compile(r"^(?:.*/)?publishers/(?P<owner>[^/]+)/models/(?P<model>.+)$")


def spellings(kind: str, model: str) -> tuple[str, ...]:
    """Return the names to look a model up by, the most exact first.

    AGIPower takes `model:provider`, Venice `model:feature=on`; elsewhere a colon belongs to the
    name (OpenRouter prices `model:free` apart). Dates at the end are part of the name everywhere.
    """
    plain = model
    if (publisher := _PUBLISHER.match(model)) is not None:
        bare = publisher["model"]
        plain = f"{publisher['owner']}/{bare}" if kind in {"agipower", "vercel"} else bare
    plain = plain.removeprefix("models/")
    found = [model, plain]
    if kind in {"agipower", "venice"}:
        found.append(plain.partition(":")[0])
    if kind == "venice":
        found.append(found[-1].removeprefix("venice-"))
    return tuple(dict.fromkeys(found))


def canonical(name: str) -> str:
    """Return a name in the spelling that dots, underscores and capitals do not change."""
    return name.casefold().replace(".", "-").replace("_", "-")


def bare(name: str) -> str:
    """Return a name without its owner."""
    return name.rpartition("/")[2]
