"""Whose stored answer it is: remembered in Redis, forgotten where it could not be, never guessed."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from proxy.gateway.owners import ID_CHARS_MAX, KEPT_S, ResponseOwners
from tests.doubles.fake_commands import FakeCommands


async def test_an_owner_is_found_by_any_replica(connection: Connection, organization: str) -> None:
    await ResponseOwners(connection, organization).remember("resp_1", "red team", "agipower")

    found = await ResponseOwners(connection, organization).find("resp_1")

    assert found == ("red team", "agipower")
    assert await ResponseOwners(connection, organization).find("resp_2") is None
    assert await ResponseOwners(connection, "another").find("resp_1") is None


async def test_an_owner_is_kept_as_long_as_the_answer(
    connection: Connection, organization: str
) -> None:
    await ResponseOwners(connection, organization).remember("resp_1", "red", "agipower")

    left_s = await connection.execute("TTL", f"bursar:{{{organization}}}:response:resp_1")

    assert KEPT_S - 60 < left_s <= KEPT_S


async def test_an_id_of_absurd_length_is_nobodys(connection: Connection, organization: str) -> None:
    owners = ResponseOwners(connection, organization)
    long_id = "r" * (ID_CHARS_MAX + 1)

    await owners.remember(long_id, "red", "agipower")

    assert await owners.find(long_id) is None


@pytest.mark.parametrize(
    ("response_id", "team", "provider", "passes"),
    [
        ("resp_1", "red", "fake", True),
        ("resp_1", "blue", "fake", False),
        ("resp_1", "red", "other", False),
        ("resp_2", "red", "fake", False),
    ],
)
async def test_only_its_team_may_go_on_from_an_answer_and_only_where_it_is(
    response_id: str, team: str, provider: str, passes: bool
) -> None:
    owners = ResponseOwners(FakeCommands(), "acme")
    await owners.remember("resp_1", "red", "fake")

    found = await owners.check(response_id, team, provider)

    if passes:
        assert found is None
    else:
        assert found is not None
        assert (found.status, found.param) == (404, "previous_response_id")


class Away:
    """A Redis that cannot be reached."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        raise LedgerUnavailable("Redis is not connected")


async def test_without_redis_nothing_is_remembered_and_nothing_said() -> None:
    owners = ResponseOwners(Away(), "acme")

    await owners.remember("resp_1", "red", "agipower")

    with pytest.raises(LedgerUnavailable):
        await owners.find("resp_1")
