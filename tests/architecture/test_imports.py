"""What may be imported where, as far as the import contracts in pyproject.toml cannot say it."""

import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.sources import PRODUCT, ROOT, below, imports, mentions, module_name

CLOCK: Final = frozenset({"policies/clock.py"})
TASKS: Final = frozenset({"proxy/tasks.py"})
ENVIRONMENT: Final = frozenset({"proxy/settings.py", "proxy/cli/run.py"})

# Ruff bans these names everywhere and is switched off in their owners as a whole;
# here each owner gets its own names back and no others.
OWNERS: Final = {
    "aiohttp.ClientSession": frozenset({"proxy/providers/connection.py"}),
    "asyncio.create_task": TASKS,
    "asyncio.ensure_future": TASKS,
    "datetime.date.today": CLOCK,
    "datetime.datetime.now": CLOCK,
    "datetime.datetime.today": CLOCK,
    "datetime.datetime.utcnow": CLOCK,
    "os.environ": ENVIRONMENT,
    "os.getenv": ENVIRONMENT,
    "time.time": CLOCK,
    "time.time_ns": CLOCK,
    "unittest.mock": frozenset(),
}

# Who builds the parts chooses them; everyone else takes the interface.
CHOSEN_BY_THE_COMPOSITION_ROOT: Final = (
    "policies.clock.SystemClock",
    "policies.ledger.connection*",
    "policies.ledger.memory*",
    "policies.ledger.redis_ledger*",
)
COMPOSITION_ROOT: Final = ("proxy.app*", "proxy.cli*", "policies.ledger*", "policies.clock")


def test_every_banned_name_has_its_owner() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    banned = settings["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]

    assert set(banned) == set(OWNERS)


@pytest.mark.parametrize("banned", sorted(OWNERS))
def test_a_banned_name_is_used_by_its_owner_alone(banned: str) -> None:
    users = [
        f"{path}:{line}"
        for path in below(*PRODUCT)
        if path.as_posix() not in OWNERS[banned]
        for line, name in mentions(path)
        if name == banned or name.startswith(f"{banned}.")
    ]

    assert users == []


def test_only_the_composition_root_chooses_implementations() -> None:
    choices = [
        f"{path}:{line} imports {name}"
        for path in below(*PRODUCT)
        if not _is_one_of(module_name(path), COMPOSITION_ROOT)
        for line, name in imports(path)
        if _is_one_of(name, CHOSEN_BY_THE_COMPOSITION_ROOT)
    ]

    assert choices == []


def test_the_product_never_imports_its_tests_or_benchmarks() -> None:
    strays = [
        f"{path}:{line} imports {name}"
        for path in below(*PRODUCT)
        for line, name in imports(path)
        if name.split(".")[0] in {"bench", "tests"}
    ]

    assert strays == []


def test_used_names_are_found_through_every_kind_of_import() -> None:
    found = {name for _, name in mentions(Path("tests/architecture/test_imports.py"))}

    assert {"pytest.mark.parametrize", "tomllib.loads", "typing.Final"} <= found


def _is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
