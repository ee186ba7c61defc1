"""What a source of prices says, as values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from proxy.prices.lists import PriceChange, PriceList


def test_an_empty_list_says_nothing() -> None:
    empty = PriceList()

    assert (dict(empty.prices), dict(empty.refused), dict(empty.aliases)) == ({}, {}, {})
    assert empty.uncounted == frozenset()


def test_a_change_cannot_be_changed() -> None:
    change = PriceChange(provider="venice", model="m", old=None, new=None, source="venice list")

    assert change.refused is None
    with pytest.raises(FrozenInstanceError):
        change.refused = "no"  # type: ignore[misc] # That it must not be assigned to is what is tested.
