"""The files of this repository, as the architecture's tests read them."""

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PRODUCT: Final = ("policies", "proxy")
# Not ours, or made by running: environments, caches, data.
SKIPPED_FOLDERS: Final = frozenset({"__pycache__", "build", "dist", "node_modules", "var"})


def below(*folders: str, suffix: str = ".py") -> list[Path]:
    """Return the files with that suffix below these folders, as paths from the root."""
    found = (path for folder in folders for path in (ROOT / folder).rglob(f"*{suffix}"))
    return sorted(path.relative_to(ROOT) for path in found)


def repository() -> Iterator[Path]:
    """Yield every file that belongs to the repository, as a path from the root."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS and not _hidden(name)]
        yield from ((Path(folder) / name).relative_to(ROOT) for name in files)


def _hidden(folder: str) -> bool:
    return folder.startswith(".") and folder not in {".ci", ".github"}


@cache
def text(path: Path) -> str:
    """Return what a file says."""
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    """Return a Python file, parsed."""
    return ast.parse(text(path), filename=str(path))


def module_name(path: Path) -> str:
    """Return the name under which a file is imported."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything that a file imports, at any depth of the code."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in names)
            case _:
                pass


def mentions(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything imported or used through an import: `os.environ`."""
    local_names: dict[str, str] = {}
    for node in ast.walk(tree(path)):
        match node:
            case ast.Import(names=names):
                local_names |= {alias.asname: alias.name for alias in names if alias.asname}
                local_names |= {name: name for alias in names for name in alias.name.split(".")[:1]}
            case ast.ImportFrom(module=str(module), names=names):
                local_names |= {a.asname or a.name: f"{module}.{a.name}" for a in names}
            case _:
                pass
    yield from imports(path)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and (name := _dotted(node, local_names)):
            yield node.lineno, name


def _dotted(node: ast.expr, local_names: dict[str, str]) -> str | None:
    match node:
        case ast.Name(id=name):
            return local_names.get(name)
        case ast.Attribute(value=value, attr=attribute):
            owner = _dotted(value, local_names)
            return f"{owner}.{attribute}" if owner else None
        case _:
            return None
