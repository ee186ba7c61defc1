"""The JSON of the admin API."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from policies.decisions import Standing
from proxy.admin.schemas import BudgetRow, KeyRequest, Page, RotationRequest
from proxy.standing_rows import standing_row


@pytest.mark.parametrize("unit", ["USD", "tokens", "calls", "DIEM"])
def test_a_standing_passes_as_it_is(unit: str) -> None:
    row = standing_row(
        Standing(
            budget="b",
            subject="",
            unit=unit,
            mode="enforce",
            limit=5,
            spent=1,
            reserved=1,
            overrun=0,
            start_ms=0,
            end_ms=None,
            window="lifetime",
        )
    )

    assert BudgetRow.model_validate(row).model_dump() == row
    assert Page[BudgetRow](items=[BudgetRow.model_validate(row)]).model_dump()["cursor"] is None


def test_durations_are_texts() -> None:
    assert KeyRequest.model_validate({"team": "red", "expires": "90d"}).expires == 90 * 86_400_000
    assert RotationRequest.model_validate({"grace": "24h"}).grace == 86_400_000
    assert RotationRequest().grace == 0


@pytest.mark.parametrize(
    "body", [{}, {"team": ""}, {"team": "red", "expires": "0s"}, {"team": "red", "key": "mine"}]
)
def test_what_makes_no_sense_is_a_mistake(body: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        KeyRequest.model_validate(body)
