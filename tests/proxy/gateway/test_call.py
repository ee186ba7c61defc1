"""What the stations hand to each other: the tightest budget, ids for the receipt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.decisions import Standing
from policies.units import USD
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import REDIRECTS, redirected
from tests.doubles.calls import passage, ticket

STANDING = Standing(
    budget="a",
    subject="",
    unit=USD,
    mode="enforce",
    limit=100,
    spent=0,
    reserved=0,
    overrun=0,
    start_ms=0,
    end_ms=None,
    window="all",
)


@pytest.mark.parametrize(
    ("standings", "tightest"),
    [
        ([], None),
        ([("a", 100, 50), ("b", 100, 60)], "b"),
        ([("a", 1_000, 900), ("b", 100, 80)], "a"),
        ([("a", 100, 100), ("b", 0, 0)], "a"),
        ([("a", 100, 99), ("b", 0, 0)], "b"),
    ],
    ids=str,
)
def test_the_tightest_budget_has_the_least_left_as_a_share(
    standings: list[tuple[str, int, int]], tightest: str | None
) -> None:
    found = replace(
        ticket(),
        standings=tuple(
            replace(STANDING, budget=name, limit=limit, spent=spent)
            for name, limit, spent in standings
        ),
    ).tightest

    assert (found.budget if found is not None else None) == tightest


def test_a_passage_knows_the_ids_of_its_headers_and_of_its_body() -> None:
    passed = passage(headers={"x-generation-id": "gen-1"})
    passed.body_ids += ["chatcmpl-1", "other"]

    assert passed.generation_ids == ("gen-1", "chatcmpl-1", "other")


@pytest.mark.parametrize("status", sorted(REDIRECTS))
def test_a_redirect_is_not_passed_on(status: int) -> None:
    found = redirected("fake", status)

    assert found.status == 502
    assert found.kind is ErrorKind.UPSTREAM_UNREACHABLE
    assert "fake" in found.message
    assert str(status) in found.message
