"""The JSON about what was."""

from __future__ import annotations

from proxy.admin.journal_schemas import SpendRow, VerificationView
from proxy.admin.schemas import Money


def test_what_was_not_grouped_by_is_null() -> None:
    row = SpendRow(
        team="red",
        calls=1,
        refused=0,
        receipted_calls=None,
        input_tokens=None,
        output_tokens=None,
        settled=None,
        receipted=None,
        charged=Money.of(5),
    )

    assert (row.model_dump()["model"], row.model_dump()["day"]) == (None, None)


def test_a_verification_says_null_for_what_does_not_apply() -> None:
    assert VerificationView(state="broken", broken_at=3).model_dump()["last_hash"] is None
