"""What readers get cannot be changed behind their backs."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from proxy.archive.lines import CallLine, Page
from proxy.archive.tables import calls


def test_a_line_has_the_columns_of_a_call() -> None:
    own = {"organization_id", "month", "entries"}

    assert {field.name for field in fields(CallLine)} == {c.name for c in calls.columns} - own


def test_a_page_stays_as_it_is() -> None:
    page = Page(items=(1, 2), next=None)

    with pytest.raises(FrozenInstanceError):
        page.next = 3  # type: ignore[misc]  # What is tested.
