"""A grant as programs get it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.grants import Grant
from proxy.admin.grant_rows import grant_row

NOW_MS = 1_793_491_200_000
GRANT = Grant(
    id="grant_1",
    budget="one",
    unit="USD",
    amount=2_500_000_000,
    made_ms=NOW_MS,
    expires_ms=NOW_MS + 60_000,
    reason="a demo",
    actor="ann",
)


def test_a_row_says_everything() -> None:
    assert grant_row(GRANT, NOW_MS).model_dump() == {
        "id": "grant_1",
        "budget": "one",
        "subject": None,
        "unit": "USD",
        "amount": {"nano_usd": 2_500_000_000, "usd": "2.5"},
        "state": "active",
        "made_at": "2026-11-01T00:00:00Z",
        "expires_at": "2026-11-01T00:01:00Z",
        "ended_at": None,
        "ended_by": None,
        "reason": "a demo",
        "actor": "ann",
    }


@pytest.mark.parametrize(
    ("grant", "after_ms", "state"),
    [
        (GRANT, 59_999, "active"),
        (GRANT, 60_000, "expired"),
        (replace(GRANT, ended_ms=NOW_MS + 5, ended_by="bob"), 6, "ended"),
        (replace(GRANT, ended_ms=NOW_MS + 5, ended_by="bob"), 70_000, "ended"),
    ],
)
def test_its_state_is_that_of_the_moment(grant: Grant, after_ms: int, state: str) -> None:
    assert grant_row(grant, NOW_MS + after_ms).state == state


def test_who_ended_it_is_said() -> None:
    row = grant_row(replace(GRANT, ended_ms=NOW_MS + 5_000, ended_by="bob"), NOW_MS)

    assert (row.ended_at, row.ended_by) == ("2026-11-01T00:00:05Z", "bob")
