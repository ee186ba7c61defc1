"""Where an export stands, as it is noted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.archive.export.mark import Mark, mark_from

MARK = Mark(low=1, high=9, exported_ms=5, done=3, rows=2, first_hash="00", last_hash=None)


def test_a_mark_comes_back_as_it_was() -> None:
    assert mark_from(json.loads(json.dumps(MARK.document()))) == MARK


@pytest.mark.parametrize(
    "changed",
    [
        {"low": "1"},
        {"high": True},
        {"done": None},
        {"first_hash": "xx"},
        {"last_hash": 7},
        {"x": 1},
    ],
)
def test_anything_else_is_no_mark(changed: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        mark_from({**MARK.document(), **changed})
