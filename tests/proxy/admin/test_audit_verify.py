"""Verification over the admin API."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import text

from proxy.admin.audit_verify import verification
from proxy.archive.walk import Verified
from tests.proxy.admin.conftest import Plane

VERIFY = "/admin/v1/audit/verify"


async def test_an_archive_that_is_as_it_was_written(plane: Plane) -> None:
    await plane.call("call_1", "red")
    await plane.archive()

    status, body = await plane.ask(VERIFY)

    assert status == 200
    assert (body["state"], body["first"], body["last"], body["entries"]) == ("verified", 1, 2, 2)
    assert len(body["last_hash"]) == 64


async def test_an_empty_one_is_too(plane: Plane) -> None:
    _, body = await plane.ask(VERIFY)

    assert (body["state"], body["entries"]) == ("verified", 0)


async def test_the_first_entry_that_was_changed_is_named(plane: Plane) -> None:
    for number in range(3):
        await plane.services.ledger.note(f"act_{number}", "{}")
    await plane.archive()
    with plane.services.database.begin() as connection:
        triggers = connection.execute(text("SELECT name FROM sqlite_master WHERE type='trigger'"))
        for (name,) in triggers.all():
            connection.execute(text(f'DROP TRIGGER "{name}"'))
        connection.execute(text("UPDATE entries SET kind='harmless' WHERE number=2"))

    status, body = await plane.ask(VERIFY)

    assert status == 200
    assert (body["state"], body["broken_at"], body["damage"]) == ("broken", 2, "changed")
    assert "2" in body["said"]


async def test_when_the_time_is_over_it_says_how_far_it_came(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.archive.walk.REPORT_EVERY", 1)
    for number in range(3):
        await plane.services.ledger.note(f"act_{number}", "{}")
    await plane.archive()

    view = await verification(plane.services, limit_s=0)

    assert (view.state, view.entries) == ("unfinished", None)
    assert "bursar audit verify" in (view.said or "")


async def test_who_sees_some_teams_alone_may_not(plane: Plane) -> None:
    status, body = await plane.ask(VERIFY, token="red-watcher")

    assert (status, body["error"]["code"]) == (403, "other_teams")


async def test_one_at_a_time(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    go, begun = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait(*_: Any, **__: Any) -> Verified:
        loop.call_soon_threadsafe(begun.set)
        go.wait(30)
        return Verified(
            organization="o",
            first=0,
            last=0,
            entries=0,
            last_hash=b"",
            checkpoints=0,
            keys=(),
            signed_to=0,
            unsigned_max=0,
        )

    monkeypatch.setattr("proxy.admin.audit_verify.verify_archive", wait)
    first = asyncio.create_task(plane.ask(VERIFY))
    await begun.wait()

    status, body = await plane.ask(VERIFY)
    go.set()

    assert (status, body["error"]["code"]) == (409, "busy")
    assert (await first)[0] == 200
