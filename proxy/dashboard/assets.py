"""Style sheet, scripts and icon, as the package ships them; they are read once."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Final

from aiohttp import web

#: Everything that a page may load, and what it is.
_TYPES: Final = {
    "dashboard.css": "text/css",
    "theme.js": "text/javascript",
    "live.js": "text/javascript",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_HASH_CHARACTERS: Final = 12
#: A file's address changes with what is in it, so that a browser may keep it for good.
_FOR_GOOD: Final = "public, max-age=31536000, immutable"


class Assets:
    """Files that pages load."""

    def __init__(self) -> None:
        folder = files("proxy.dashboard") / "static"
        self._files: Mapping[str, bytes] = {name: (folder / name).read_bytes() for name in _TYPES}
        self._addresses = {
            name: f"/static/{name}?v={sha256(body).hexdigest()[:_HASH_CHARACTERS]}"
            for name, body in self._files.items()
        }

    def address(self, name: str) -> str:
        """Return where a file is."""
        return self._addresses[name]

    async def show(self, request: web.Request) -> web.Response:
        """Answer with a file. Raises `HTTPNotFound` for one that there is not."""
        name = request.match_info["name"]
        body = self._files.get(name)
        if body is None:
            raise web.HTTPNotFound
        is_named_exactly = self._addresses[name] == str(request.rel_url)
        return web.Response(
            body=body,
            content_type=_TYPES[name],
            charset="utf-8",
            headers={"Cache-Control": _FOR_GOOD if is_named_exactly else "no-cache"},
        )
