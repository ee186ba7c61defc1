"""Verification over HTTP: whether the archive is as it was written, as far as that gets in a minute."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from policies.clock import Clock
from proxy.admin.journal_schemas import VerificationView
from proxy.admin.operations import BUSY, Operation
from proxy.admin.replies import Refused, reply
from proxy.admin.services import Services
from proxy.archive.verify import verify_archive
from proxy.archive.walk import Broken, Verified

#: Clients and what stands before us give up on an answer after about a minute. In that time some
#: millions of entries are looked at; `bursar audit verify` takes the time that it takes.
VERIFY_S: Final = 50.0


class _OutOfTimeError(Exception):
    """The walk has gone on for long enough."""


class _Watch:
    """Ends a walk in another thread when its time is over, or nobody waits for it any more."""

    def __init__(self, clock: Clock, limit_s: float) -> None:
        self._clock = clock
        self._end_s = clock.monotonic_s() + limit_s
        self.stopped = threading.Event()
        #: The last entry that was looked at.
        self.number = 0

    def __call__(self, number: int) -> None:
        self.number = number
        if self.stopped.is_set() or self._clock.monotonic_s() >= self._end_s:
            raise _OutOfTimeError


def verification_view(result: Verified | Broken) -> VerificationView:
    """Return what a walk came to."""
    if isinstance(result, Broken):
        return VerificationView(
            state="broken",
            broken_at=result.number,
            damage=result.what.value,
            said=f"{result.said} ({result.where})",
        )
    return VerificationView(
        state="verified",
        first=result.first,
        last=result.last,
        entries=result.entries,
        last_hash=result.last_hash.hex(),
        checkpoints=result.checkpoints,
        keys=list(result.keys),
        signed_to=result.signed_to,
    )


async def verification(services: Services, limit_s: float = VERIFY_S) -> VerificationView:
    """Return whether the archive is as it was written; `unfinished` when the time was over before.

    Raises:
        ArchiveUnavailable: the archive did not answer.
    """
    watch = _Watch(services.clock, limit_s)
    try:
        result = await asyncio.to_thread(
            verify_archive, services.database, services.rulebook().organization, progress=watch
        )
    except _OutOfTimeError:
        return VerificationView(
            state="unfinished",
            last=watch.number,
            said=f"everything is as it was written up to entry {watch.number}; then the time was "
            "over: `bursar audit verify` takes the time that it takes",
        )
    finally:
        watch.stopped.set()
    return verification_view(result)


class AuditVerify:
    """`/admin/v1/audit/verify`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._walking = False

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return (
            Operation(
                method="GET",
                path="/admin/v1/audit/verify",
                name="verify_audit",
                says="Check every entry, hash and signature of the archive, for 50 seconds at most. "
                "Signatures count that the archive's own keys made: whoever can write everything "
                "anew is found by `bursar audit verify` with a trusted key or kept checkpoints.",
                handler=self.verify,
                answer=VerificationView,
                for_all_teams=True,
                refuses=(BUSY,),
            ),
        )

    async def verify(self, request: web.Request) -> web.Response:
        """Check the whole archive."""
        del request
        if self._walking:
            raise Refused(409, "busy", "the archive is being verified: wait for that to end")
        self._walking = True
        try:
            return reply(await verification(self._services))
        finally:
            self._walking = False
