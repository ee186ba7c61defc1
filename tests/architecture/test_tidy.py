"""The rules of style that a machine can check; each failure lists the places to mend."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.sources import (
    PRODUCT,
    ROOT,
    below,
    imports,
    mentions,
    repository,
    text,
    tree,
)

FILE_LINES_MAX: Final = 400
TEST_FILE_LINES_MAX: Final = 500
FUNCTION_LINES_MAX: Final = 50
CODE: Final = (*PRODUCT, "tests", "bench")

# Names that say what kind of thing a file is and not which: whatever has no home ends up there.
NAMELESS: Final = re.compile(
    r"_*(.*_)?(utils?|helpers?|common|misc|managers?|shared)|_*(base|core)", re.IGNORECASE
)

# Modules that another file than tests/<same folder>/test_<module>.py tests, and which one.
TESTED_BY: Final[dict[str, str]] = {
    # One suite runs on both ledgers; what the oracle is made of is tested through it.
    "policies/ledger/counter.py": "tests/policies/ledger/test_ledger.py",
    "policies/ledger/interface.py": "tests/policies/ledger/test_ledger.py",
    "policies/ledger/replies.py": "tests/policies/ledger/test_ledger.py",
    # Parts of the configuration, and forms that others fill.
    "proxy/billing_settings.py": "tests/proxy/test_settings.py",
    "proxy/setting_values.py": "tests/proxy/test_settings.py",
    "proxy/receipts/receipt.py": "tests/proxy/receipts/adapters/test_agipower.py",
    "proxy/wallets/quota.py": "tests/proxy/wallets/adapters/test_agipower.py",
    # Parts of a station, tested as the station.
    "proxy/gateway/cost.py": "tests/proxy/gateway/test_settle.py",
    "proxy/gateway/upstream_errors.py": "tests/proxy/gateway/test_forward.py",
}

# Modules without a test of their own. This list only ever gets shorter.
UNTESTED: Final[frozenset[str]] = frozenset()

LUA_HEADER: Final = ("KEYS", "ARGV", "Returns")

# A marker that silences a tool, and what has to stand behind it: its code, then why.
SILENCER: Final = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no)\b")
SILENCED_WITH_REASON: Final = re.compile(
    r"#\s*(noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|type: ignore\[[a-z, -]+\]|pragma: no (cover|branch))"
    r"\s+(#|–|-)\s*\S.{8,}"
)

# Written so that this file does not name them either.
REGISTRY_HOSTS: Final = re.compile(
    r"p[y]pi[.]org|p[y]thonhosted|registry[.]n[p]mjs|registry[.]y[a]rnpkg|deb[.]d[e]bian"
)
UNFINISHED: Final = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X])\b")
TEXT_SUFFIXES: Final = frozenset(
    {"", ".css", ".html", ".js", ".json", ".lua", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"}
)


def test_files_are_short() -> None:
    product = [*below(*PRODUCT), *below(*PRODUCT, suffix=".lua")]
    long_files = [path for path in product if _lines(path) > FILE_LINES_MAX]
    long_files += [path for path in below("tests") if _lines(path) > TEST_FILE_LINES_MAX]

    assert [f"{path}: {_lines(path)} lines" for path in long_files] == []


def test_functions_are_short() -> None:
    long_functions = [
        f"{path}:{node.lineno} {node.name}: {length} lines"
        for path in below(*PRODUCT)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]

    assert long_functions == []


def test_every_module_opens_with_a_sentence() -> None:
    silent = [str(path) for path in below(*CODE) if not ast.get_docstring(tree(path))]

    assert silent == []


def test_every_file_and_folder_names_a_thing() -> None:
    names = {part for path in below(*CODE) for part in path.with_suffix("").parts}

    assert sorted(name for name in names if NAMELESS.fullmatch(name)) == []


@pytest.mark.parametrize("name", ["utils", "_base", "string_helpers", "core", "BudgetManager"])
def test_a_nameless_name_is_recognised(name: str) -> None:
    assert NAMELESS.fullmatch(name.replace("Budget", "budget_"))


@pytest.mark.parametrize("name", ["base_url", "ledger", "score", "managed_keys"])
def test_a_noun_is_not_taken_for_a_nameless_name(name: str) -> None:
    assert not NAMELESS.fullmatch(name)


def test_every_module_has_its_test() -> None:
    untested = [str(path) for path in _modules() if not (ROOT / _test_of(path)).exists()]

    assert sorted(set(untested) - UNTESTED) == []


def test_the_lists_of_exceptions_hold_nothing_stale() -> None:
    modules = {str(path) for path in _modules()}
    gone = (set(TESTED_BY) | UNTESTED) - modules
    tested = [name for name in UNTESTED if (ROOT / _test_of(Path(name))).exists()]

    assert sorted([*gone, *tested]) == []


def test_every_script_says_what_goes_in_and_out() -> None:
    unclear = [
        f"{path}: {word}"
        for path in below(*PRODUCT, suffix=".lua")
        for word in LUA_HEADER
        if word not in _lua_header(text(path))
    ]

    assert unclear == []


def test_stand_ins_are_written_and_not_mocked() -> None:
    mocks = [
        f"{path}:{line} {name}"
        for path in below("tests", "bench")
        for line, name in imports(path)
        if name.startswith(("unittest.mock", "mock.", "pytest_mock"))
    ]

    assert mocks == []


def test_tests_wait_for_events_and_never_sleep() -> None:
    doubles = Path("tests/doubles")
    sleeps = [
        f"{path}:{line} {name}"
        for path in below("tests")
        if doubles not in path.parents
        for line, name in mentions(path)
        if name in {"time.sleep", "asyncio.sleep"}
    ]

    assert sleeps == []


def test_whoever_silences_a_tool_says_what_and_why() -> None:
    unexplained = [
        f"{path}:{line} {comment}"
        for path in below(*CODE)
        for line, comment in _comments(path)
        if SILENCER.search(comment) and not SILENCED_WITH_REASON.search(comment)
    ]

    assert unexplained == []


@pytest.mark.parametrize(
    ("comment", "explained"),
    [
        ("# noqa: S603  # The command is the user's own.", True),
        ("# type: ignore[no-untyped-call]  # The wheel ships no types.", True),
        ("# noqa: S603", False),
        ("# noqa  # The command is the user's own.", False),
        ("# type: ignore  # The wheel ships no types.", False),
    ],
)
def test_a_reason_is_recognised(comment: str, explained: bool) -> None:
    assert bool(SILENCED_WITH_REASON.search(comment)) is explained


def test_no_file_names_a_package_registry() -> None:
    naming = [str(path) for path in _texts() if REGISTRY_HOSTS.search(text(path))]

    assert naming == []


def test_nothing_is_left_for_later() -> None:
    unfinished = [str(path) for path in _texts() if UNFINISHED.search(text(path))]

    assert unfinished == []


def _lines(path: Path) -> int:
    return len(text(path).splitlines())


def _modules() -> Iterator[Path]:
    """Yield the modules that hold code; a package's own file may be its docstring alone."""
    for path in below(*PRODUCT):
        if path.stem != "__main__" and len(tree(path).body) > 1:
            yield path


def _test_of(path: Path) -> Path:
    if found := TESTED_BY.get(str(path)):
        return Path(found)
    subject = path.parent if path.stem == "__init__" else path
    return Path("tests", subject.parent, f"test_{subject.stem}.py")


def _lua_header(script: str) -> str:
    lines = script.splitlines()
    end = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return "\n".join(lines[:end])


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text(path)).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _texts() -> Iterator[Path]:
    """Yield the files that people or tools read as text."""
    return (path for path in repository() if path.suffix in TEXT_SUFFIXES)
