"""Who may use the admin API."""

from __future__ import annotations

import pytest

from proxy.admin.access import Access, Grant, Tokens, bearer_token

TOKENS = Tokens(
    [
        Grant(token="root", role="admin"),
        Grant(token="red", role="viewer", teams=frozenset({"red"})),
    ]
)


def test_a_token_opens_what_it_was_made_for() -> None:
    assert TOKENS.access("root") == Access(role="admin", teams=frozenset())
    assert TOKENS.access("red") == Access(role="viewer", teams=frozenset({"red"}))


@pytest.mark.parametrize("token", ["", "roo", "root ", "ROOT", "rooot", "\udcff"])
def test_anything_else_opens_nothing(token: str) -> None:
    assert TOKENS.access(token) is None


def test_an_admin_sees_and_changes_everything() -> None:
    access = Access(role="admin", teams=frozenset())

    assert access.changes
    assert access.sees("red")
    assert access.sees(None)


def test_a_viewer_of_some_teams_sees_those_alone() -> None:
    access = Access(role="viewer", teams=frozenset({"red"}))

    assert not access.changes
    assert access.sees("red")
    assert not access.sees("blue")
    assert not access.sees(None)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("abc", None),
        ("Bearer", None),
        ("", None),
    ],
)
def test_a_token_is_a_bearers(header: str, token: str | None) -> None:
    assert bearer_token(header) == token
