"""Policies that change while the proxy runs: all or nothing, and said either way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from policies.documents import load
from policies.rulebook import Rulebook
from proxy.policy_watch import PolicyWatch, Rejected, Reloaded, differences
from tests.doubles.waiting import until

POLICIES = """
organization: acme
teams: {red: {models: ["*"]}, blue: {}}
budgets:
  - {name: all, limit: 100 USD, window: month}
  - {name: red, team: red, limit: 5 USD, window: day}
"""


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.changed: list[Reloaded] = []
        self.rejected: list[Rejected] = []
        self.unwatched: list[str] = []

    def policies_changed(self, outcome: Reloaded) -> None:
        self.changed.append(outcome)

    def policies_rejected(self, outcome: Rejected) -> None:
        self.rejected.append(outcome)

    def policies_unwatched(self, fault: str) -> None:
        self.unwatched.append(fault)


class Watched:
    """A watch on a file, and what became of it."""

    def __init__(self, path: Path, watched: Path | None = None) -> None:
        self.path = path
        path.write_text(POLICIES)
        self.told = Told()
        self.in_force: list[Rulebook] = []
        self.watch = PolicyWatch(
            watched or path,
            load([path]),
            self._apply,
            self.told,
            environ={"LIMIT": "7 USD"},
        )

    async def _apply(self, rulebook: Rulebook) -> None:
        self.in_force.append(rulebook)

    def change(self, old: str, new: str) -> None:
        self.path.write_text(self.path.read_text().replace(old, new))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "policies.yaml")


async def test_what_the_files_say_now_is_put_in_force(watched: Watched) -> None:
    watched.change("100 USD", "200 USD")

    outcome = await watched.watch.reload()

    assert isinstance(outcome, Reloaded)
    assert outcome.changes == ("budget all: limit 100 USD → 200 USD",)
    assert watched.in_force == [watched.watch.rulebook]
    assert watched.watch.rulebook.budgets["all"].limit == 200_000_000_000
    assert watched.told.changed == [outcome]


async def test_nothing_new_changes_nothing(watched: Watched) -> None:
    watched.change("organization", "# A comment is no change.\norganization")

    outcome = await watched.watch.reload()

    assert outcome == Reloaded(version=watched.watch.rulebook.version, changes=())
    assert (watched.in_force, watched.told.changed) == ([], [])


async def test_mistakes_leave_in_force_what_was(watched: Watched) -> None:
    before = watched.watch.rulebook
    watched.change("100 USD", "100 UDS")

    outcome = await watched.watch.reload()

    assert isinstance(outcome, Rejected)
    assert str(outcome.mistakes[0]).startswith(f"{watched.path}:5: budgets[0].limit: 'UDS'")
    assert watched.watch.rulebook is before
    assert watched.in_force == []
    assert watched.told.rejected == [outcome]


async def test_the_organization_stays_the_same(watched: Watched) -> None:
    watched.change("acme", "evil")

    outcome = await watched.watch.reload()

    assert isinstance(outcome, Rejected)
    assert "cannot change from 'acme' to 'evil' while the proxy runs" in str(outcome.mistakes[0])
    assert watched.in_force == []


async def test_variables_have_the_values_of_the_start(watched: Watched) -> None:
    watched.change("limit: 5 USD", 'limit: "${LIMIT}"')

    await watched.watch.reload()

    assert watched.watch.rulebook.budgets["red"].limit == 7_000_000_000


@pytest.fixture
async def running(watched: Watched) -> AsyncIterator[Watched]:
    task = asyncio.create_task(watched.watch.run())
    yield watched
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _until_seen(watched: Watched) -> None:
    """Change a limit again and again: when the watch has begun cannot be seen from outside."""
    limits = iter(range(200, 10_000))

    def changed() -> bool:
        if watched.told.changed:
            return True
        watched.path.with_suffix(".new").write_text(
            POLICIES.replace("100 USD", f"{next(limits)} USD")
        )
        watched.path.with_suffix(".new").replace(watched.path)
        return False

    await until(changed)


async def test_a_file_that_is_replaced_is_noticed(running: Watched) -> None:
    await _until_seen(running)

    assert running.told.changed[0].changes[0].startswith("budget all: limit 100 USD → ")


async def test_a_folder_is_watched_with_the_files_in_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "policies.yaml", watched=tmp_path)
    task = asyncio.create_task(watched.watch.run())

    await _until_seen(watched)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert watched.told.changed


async def test_a_folder_that_cannot_be_watched_is_said(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    watched = Watched(tmp_path / "inner" / "policies.yaml")
    watched.path.unlink()
    watched.path.parent.rmdir()

    await watched.watch.run()

    assert len(watched.told.unwatched) == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("blue: {}", "green: {}", ["team blue removed", "team green added"]),
        ('models: ["*"]', 'models: ["x"]', ["team red: models changed"]),
        (
            "limit: 5 USD",
            "limit: 5 calls",
            ["budget red: unit changed", "budget red: limit changed"],
        ),
        ("window: month", "window: week", ["budget all: window changed"]),
        (
            "limit: 5 USD,",
            "limit: 5 USD, when_unpriced: {reserve: 1 USD},",
            ["budget red: when_unpriced changed"],
        ),
    ],
)
def test_what_differs_is_said_in_words(
    tmp_path: Path, old: str, new: str, expected: list[str]
) -> None:
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    before.write_text(POLICIES)
    after.write_text(POLICIES.replace(old, new))

    assert list(differences(load([before]), load([after]))) == expected


def test_another_order_of_budgets_is_a_change(tmp_path: Path) -> None:
    rulebook = load([Watched(tmp_path / "policies.yaml").path])
    turned = Rulebook(
        organization="acme",
        teams=rulebook.teams,
        budgets=dict(reversed(list(rulebook.budgets.items()))),
    )

    assert list(differences(rulebook, turned)) == ["the order of the budgets changed"]
    assert list(differences(rulebook, rulebook)) == []
