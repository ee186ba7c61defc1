"""Recognising what has run out, and which texts can be ids."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from proxy.providers.exhaustion import ID_CHARACTERS_MAX, distinct_ids, header_first, meaning
from proxy.providers.interface import Exhausted

SIGNS = ((402, b"quota", Exhausted.QUOTA), (402, b"", Exhausted.CREDIT))


def test_the_first_sign_that_fits_decides() -> None:
    assert meaning(SIGNS, 402, b"QUOTA exceeded") is Exhausted.QUOTA
    assert meaning(SIGNS, 402, b"something else") is Exhausted.CREDIT


@pytest.mark.parametrize("status", [200, 403, 429, 500])
def test_another_status_means_nothing(status: int) -> None:
    assert meaning(SIGNS, status, b"quota") is None


def test_each_id_comes_once_in_its_order() -> None:
    assert distinct_ids("b", None, "a", "", "b") == ("b", "a")


@pytest.mark.parametrize("text", ["a\nb", "x" * (ID_CHARACTERS_MAX + 1)])
def test_what_cannot_be_an_id_is_left_out(text: str) -> None:
    assert distinct_ids(text, "a") == ("a",)


def test_a_header_is_likelier_than_a_body() -> None:
    assert header_first("x-id", CIMultiDict({"X-Id": "h"}), ["b"]) == ("h", "b")
