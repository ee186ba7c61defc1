"""Exports over the admin API."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
from typing import Any

import aiohttp
import pyarrow.parquet  # type: ignore[import-untyped]  # The wheel ships no types.
import pytest
from sqlalchemy import text

from proxy.admin.audit_export import file_name
from proxy.archive.database import ArchiveUnavailable
from proxy.archive.export.mark import Chunk, Mark
from proxy.archive.export.question import Format
from tests.doubles.waiting import until
from tests.proxy.admin.conftest import Plane

EXPORT = "/admin/v1/audit/export"
ROOT = {"Authorization": "Bearer root"}
RED = {"Authorization": "Bearer red-watcher"}


@pytest.fixture
async def lived(plane: Plane) -> Plane:
    await plane.call("call_1", "red")
    await plane.call("call_2", "blue")
    await plane.archive()
    return plane


async def export(
    plane: Plane, query: str, headers: dict[str, str] | None = None
) -> tuple[aiohttp.ClientResponse, bytes]:
    async with plane.client.get(f"{EXPORT}?{query}", headers=headers or ROOT) as answer:
        return answer, await answer.read()


async def test_the_journal_is_sent_whole(lived: Plane) -> None:
    answer, body = await export(lived, "")

    lines = [json.loads(line) for line in body.splitlines()]
    assert answer.status == 200
    assert answer.content_type == "application/x-ndjson"
    assert answer.headers["Cache-Control"] == "no-store"
    assert b"call_1" in body
    assert b"call_2" in body
    assert len(lines) >= 2 + 4


async def test_it_is_a_file_with_a_name(lived: Plane) -> None:
    answer, _ = await export(lived, "format=csv")

    organization = lived.rulebook.organization
    name = f"bursar-{organization}-20261123T130000Z.csv"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert file_name("acme", Format.FOCUS, 0) == "bursar-acme-19700101T000000Z.focus.csv"


@pytest.mark.parametrize("form", ["csv", "focus"])
async def test_calls_are_rows(lived: Plane, form: str) -> None:
    answer, body = await export(lived, f"format={form}")

    assert answer.content_type == "text/csv"
    assert len(list(csv.DictReader(io.StringIO(body.decode())))) == 2


@pytest.mark.parametrize("form", ["parquet", "focus-parquet"])
async def test_warehouses_get_parquet(lived: Plane, form: str) -> None:
    answer, body = await export(lived, f"format={form}")

    assert answer.content_type == "application/vnd.apache.parquet"
    assert pyarrow.parquet.read_table(io.BytesIO(body)).num_rows == 2


async def test_calls_are_filtered(lived: Plane) -> None:
    _, body = await export(lived, "format=csv&team=blue")

    assert b"call_2" in body
    assert b"call_1" not in body


async def test_a_viewer_of_a_team_gets_its_calls_alone(lived: Plane) -> None:
    _, body = await export(lived, "format=csv", RED)

    assert b"call_1" in body
    assert b"call_2" not in body


async def test_the_journal_itself_is_not_for_a_viewer_of_a_team(lived: Plane) -> None:
    answer, body = await export(lived, "format=jsonl", RED)

    assert answer.status == 403
    assert b"other_teams" in body
    assert await lived.acts("exported") == []


async def test_who_took_what_is_journalled_before_a_byte_is_sent(lived: Plane) -> None:
    await export(lived, "format=csv&team=red", RED)

    (act,) = await lived.acts("exported")
    assert act["actor"].startswith("token ")
    assert (act["from"], act["format"], act["team"]) == ("127.0.0.1", "csv", "red")
    assert act["teams"] == ["red"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("format=xml", "format"), ("format=csv&kind=settle", "kind"), ("limit=5", "limit")],
)
async def test_what_cannot_be_exported_is_a_mistake(plane: Plane, query: str, field: str) -> None:
    status, body = await plane.ask(f"{EXPORT}?{query}")

    assert (status, body["error"]["code"]) == (400, "invalid")
    assert [each["field"] for each in body["error"]["mistakes"]] == [field]
    assert await plane.acts("exported") == []


async def test_nobody_reads_it_all_for_its_headers(plane: Plane) -> None:
    async with plane.client.head(EXPORT, headers=ROOT) as answer:
        assert answer.status == 405


async def test_an_archive_that_is_away_is_said_before_anything_else(plane: Plane) -> None:
    with plane.services.database.begin() as connection:
        connection.execute(text("DROP TABLE organizations"))

    status, body = await plane.ask(EXPORT)

    assert (status, body["error"]["code"]) == (503, "archive_unavailable")


async def test_a_file_that_breaks_off_ends_without_its_last_chunk(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*_: Any, **__: Any) -> Any:
        yield Chunk(b"first\n", Mark(low=1, high=9, exported_ms=0, done=0))
        raise ArchiveUnavailable("the disk is gone")

    monkeypatch.setattr("proxy.admin.audit_export.chunks", break_off)

    with pytest.raises(aiohttp.ClientError):
        await export(plane, "")


async def test_only_so_many_wait_at_once(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    go, begun = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait(*_: Any, **__: Any) -> Any:
        loop.call_soon_threadsafe(begun.set)
        go.wait(30)
        return iter(())

    monkeypatch.setattr("proxy.admin.audit_export.chunks", wait)
    waiting = [asyncio.create_task(export(plane, "")) for _ in range(4)]
    await begun.wait()

    async def journalled() -> bool:
        return len(await plane.acts("exported")) == 4

    await until(journalled)
    status, body = await plane.ask(EXPORT)
    go.set()

    assert (status, body["error"]["code"]) == (409, "busy")
    assert [answer.status for answer, _ in await asyncio.gather(*waiting)] == [200] * 4
