"""What an operation declares."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from proxy.admin.operations import NOT_FOUND, Operation
from proxy.admin.schemas import KeyRequest, KeyRow


async def nothing(request: web.Request) -> web.StreamResponse:
    raise NotImplementedError


def operation(**fields: Any) -> Operation:
    made = {"method": "GET", "path": "/x", "name": "x", "says": "X.", "handler": nothing}
    return Operation(**{**made, "answer": KeyRow, **fields})


def codes(made: Operation) -> set[str]:
    return {refusal.code for refusal in made.refusals}


def test_everybody_needs_a_token_and_gives_a_query_that_makes_sense() -> None:
    assert codes(operation()) == {
        "invalid",
        "no_token",
        "unknown_token",
        "expired_token",
        "no_tokens",
        "too_many_attempts",
        "ledger_unavailable",
        "archive_unavailable",
    }


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"method": "DELETE"}, "read_only"),
        ({"for_all_teams": True}, "other_teams"),
        ({"method": "POST", "body": KeyRequest}, "refused"),
        ({"refuses": (NOT_FOUND,)}, "not_found"),
    ],
)
def test_what_else_can_be_refused_follows_from_what_it_is(
    fields: dict[str, Any], code: str
) -> None:
    assert code in codes(operation(**fields)) - codes(operation())


def test_what_is_open_refuses_nobody() -> None:
    assert operation(open=True).refusals == []
