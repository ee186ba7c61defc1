"""Every dialect can be had by its name."""

from __future__ import annotations

from typing import get_args

from proxy.dialects.interface import DialectName
from proxy.dialects.registry import DIALECTS


def test_every_name_has_its_dialect() -> None:
    assert set(DIALECTS) == set(get_args(DialectName))
    assert all(DIALECTS[name].name == name for name in DIALECTS)
