"""ETags: two people who change one thing do not overwrite what the other one did unseen."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Final

from aiohttp import web

from proxy.admin.replies import Refused

_CHARACTERS: Final = 16
#: More versions than these at once nobody names.
_TAGS_MAX: Final = 16


def etag_of(*parts: object) -> str:
    """Return the tag of whatever these parts are a version of; they are JSON values."""
    raw = json.dumps(parts, separators=(",", ":"), ensure_ascii=True).encode()
    return f'"{sha256(raw).hexdigest()[:_CHARACTERS]}"'


def check_unchanged(request: web.Request, etag: str) -> None:
    """Check that what is to be changed is what the client has seen, if it says what that was.

    Raises:
        Refused: it was changed since.
    """
    given = ",".join(request.headers.getall("If-Match", ()))
    if not given or given.strip() == "*":
        return
    # A weak tag never matches here: it promises less than that nothing has changed.
    if etag not in (tag.strip() for tag in given.split(",", _TAGS_MAX)):
        said = "somebody changed this since you looked: look again, then decide"
        raise Refused(412, "changed", said)
