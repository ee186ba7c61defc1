"""How the admin plane answers: JSON, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from proxy.admin.schemas import Failure, FailureBody, Fault

#: Answers name spending and keys: no cache may keep them.
NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
# Names of fields, a page of tags: far below this. Larger bodies are refused before they are read.
BODY_BYTES_MAX: Final = 64 * 1024


class Refused(Exception):
    """The request is not done; the answer says why."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        mistakes: Sequence[Fault] = (),
        *,
        retry_after_s: int | None = None,
        allowed: Sequence[str] = (),
    ) -> None:
        """Say what is not done, and why.

        Args:
            status: over HTTP.
            code: for programs.
            message: for people: what is wrong, and what to do.
            mistakes: each of them, where the request has some.
            retry_after_s: seconds after which it may be asked again.
            allowed: the methods that are possible, where this one is not.
        """
        super().__init__(message)
        self.status = status
        self.code = code
        self.mistakes = tuple(mistakes)
        self.headers: dict[str, str] = {}
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(retry_after_s)
        if allowed:
            self.headers["Allow"] = ", ".join(allowed)


def reply(document: BaseModel, status: int = 200, *, etag: str | None = None) -> web.Response:
    """Return a document as JSON; with an ETag, where two people could overwrite each other."""
    return web.Response(
        status=status,
        text=document.model_dump_json(),
        content_type="application/json",
        headers=NO_STORE if etag is None else {**NO_STORE, "ETag": etag},
    )


def failure(refused: Refused) -> web.Response:
    """Return an error as JSON."""
    body = FailureBody(
        error=Failure(code=refused.code, message=str(refused), mistakes=list(refused.mistakes))
    )
    response = web.Response(
        status=refused.status,
        # Most errors are about no field of anything: without an empty list of them.
        text=body.model_dump_json(exclude_defaults=True),
        content_type="application/json",
        headers={**NO_STORE, **refused.headers},
    )
    if refused.status == web.HTTPUnauthorized.status_code:
        response.headers["WWW-Authenticate"] = 'Bearer realm="bursar"'
    return response
