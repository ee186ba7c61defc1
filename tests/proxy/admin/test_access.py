"""Who may use the admin API."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from proxy.admin.access import Access, Expired, Opening, Tokens, bearer_token
from proxy.settings import AdminToken, SettingsErrors, load_settings
from tests.doubles.fake_clock import NOON_MS

NOW_MS = 1_000
TOKENS = Tokens(
    [
        Opening(token="root", role="admin"),
        Opening(token="red", role="viewer", teams=frozenset({"red"}), name="red's lead"),
        Opening(token="guest", role="viewer", expires_ms=NOW_MS),
    ]
)


def test_a_token_opens_what_it_was_made_for() -> None:
    root, red = TOKENS.access("root", NOW_MS), TOKENS.access("red", NOW_MS)

    assert isinstance(root, Access)
    assert (root.role, root.teams, root.seen_teams) == ("admin", frozenset(), None)
    assert isinstance(red, Access)
    assert (red.role, red.seen_teams) == ("viewer", frozenset({"red"}))


def test_whoever_has_it_goes_by_its_name_or_by_its_digest() -> None:
    root, red = TOKENS.access("root", NOW_MS), TOKENS.access("red", NOW_MS)

    assert isinstance(root, Access)
    assert root.actor == f"token {sha256(b'root').hexdigest()[:8]}"
    assert isinstance(red, Access)
    assert red.actor == "red's lead"


def test_a_token_opens_nothing_from_the_moment_at_which_it_ends() -> None:
    assert isinstance(TOKENS.access("guest", NOW_MS - 1), Access)
    assert TOKENS.access("guest", NOW_MS) == Expired(at_ms=NOW_MS)


def test_a_digest_opens_the_same_as_its_token() -> None:
    root = TOKENS.access("root", NOW_MS)
    assert isinstance(root, Access)

    assert TOKENS.access_by_digest(root.digest, NOW_MS) == root
    assert TOKENS.access_by_digest(sha256(b"guest").hexdigest(), NOW_MS) == Expired(at_ms=NOW_MS)
    assert TOKENS.access_by_digest("root", NOW_MS) is None
    assert TOKENS.access_by_digest("\udcff", NOW_MS) is None


@pytest.mark.parametrize("token", ["", "roo", "root ", "ROOT", "rooot", "\udcff"])
def test_anything_else_opens_nothing(token: str) -> None:
    assert TOKENS.access(token, NOW_MS) is None


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


# --- As the configuration has them ---


def configured(folder: Path, fields: str) -> AdminToken:
    file = folder / "bursar.yaml"
    file.write_text(f"admin: {{tokens: [{{token: t, role: viewer, {fields}}}]}}")
    return load_settings(file, {}).admin.tokens[0]


@pytest.mark.parametrize(
    ("written", "ends_ms"),
    [
        ("2026-11-24", NOON_MS + 11 * 3_600_000),
        ("2026-11-23T13:00:00Z", NOON_MS),
        ("2026-11-23T14:00:00+01:00", NOON_MS),
    ],
)
def test_a_token_has_a_name_and_an_end(tmp_path: Path, written: str, ends_ms: int) -> None:
    token = configured(tmp_path, f"name: Ann, expires: '{written}'")

    assert (token.name, token.expires_ms) == ("Ann", ends_ms)


def test_neither_has_to_be(tmp_path: Path) -> None:
    token = configured(tmp_path, "teams: [red]")

    assert (token.name, token.expires_ms) == (None, None)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("expires: soon", "'soon' is not a time: write 2026-12-31"),
        ("expires: '2026-12-31T18:00:00'", "names no time zone: end it with Z"),
        ("expires: '20261231'", "names no time zone"),
        ("expires: '1969-12-31'", "is too small"),
        ("expires: [1]", "expires"),
        ("name: ''", "name"),
    ],
)
def test_a_mistake_in_them_is_named(tmp_path: Path, fields: str, said: str) -> None:
    with pytest.raises(SettingsErrors) as errors:
        configured(tmp_path, fields)

    assert said in str(errors.value)
