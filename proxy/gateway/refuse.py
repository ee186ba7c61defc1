"""Telling a caller no, in the caller's own dialect, so that its SDK stops and a person understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from proxy.dialects.endpoints import Endpoint
from proxy.dialects.interface import Dialect, ErrorKind
from proxy.gateway.call import Refusal

CALL_ID_HEADER: Final = "x-bursar-call-id"

# Faults that may be gone in a moment: an SDK does well to try again by its own rules.
_TRANSIENT: Final = frozenset(
    {
        ErrorKind.LEDGER_UNAVAILABLE,
        ErrorKind.OVERLOADED,
        ErrorKind.UPSTREAM_UNREACHABLE,
        ErrorKind.UPSTREAM_TIMEOUT,
        ErrorKind.UPSTREAM_CUT,
    }
)
_MONEY: Final = frozenset({ErrorKind.BUDGET_EXCEEDED, ErrorKind.WALLET_EXHAUSTED})


class Refuser:
    """Answers refused calls; the status for budgets can be set for each dialect."""

    def __init__(self, refusal_status: Mapping[str, int]) -> None:
        self._refusal_status = refusal_status

    def answer(
        self, refusal: Refusal, dialect: Dialect, call_id: str, endpoint: Endpoint | None = None
    ) -> web.Response:
        """Return the answer to a call that is not admitted."""
        del endpoint
        status = refusal.status
        if refusal.kind in _MONEY and refusal.retry_after_s is None:
            status = self._refusal_status.get(dialect.name, status)
        body = dialect.error_body(
            status=status,
            kind=refusal.kind,
            message=refusal.message,
            call_id=call_id,
            param=refusal.param,
        )
        headers = {
            CALL_ID_HEADER: call_id,
            "content-type": "application/json",
            # The names under which the SDKs look for an id to show (protocols.md, C2).
            "x-request-id": call_id,
            "request-id": call_id,
            **{name: _header_text(value) for name, value in refusal.headers},
        }
        if refusal.retry_after_s is not None:
            headers["retry-after"] = str(refusal.retry_after_s)
        elif refusal.kind not in _TRANSIENT:
            headers["x-should-retry"] = "false"
        return web.Response(status=status, body=body, headers=headers)


def _header_text(value: str) -> str:
    """Return a value that a header can carry; names of budgets are ASCII, subjects need not be."""
    return value.encode("ascii", "backslashreplace").decode()
