"""Wallets over the admin API."""

from __future__ import annotations

import pytest

from tests.proxy.admin.conftest import Plane


@pytest.mark.parametrize("token", ["root", "watcher"])
async def test_every_provider_is_a_row(plane: Plane, token: str) -> None:
    status, body = await plane.ask("/admin/v1/wallets", token=token)

    assert status == 200
    assert [(row["provider"], row["account_status"]) for row in body["items"]] == [
        ("sim", "healthy")
    ]
    assert body["cursor"] is None


async def test_a_viewer_of_a_team_is_not_told_what_others_use(plane: Plane) -> None:
    status, body = await plane.ask("/admin/v1/wallets", token="red-watcher")

    assert (status, body["error"]["code"]) == (403, "other_teams")
    assert "a token that is for all teams" in body["error"]["message"]
