"""Who is at the command line."""

from __future__ import annotations

import getpass
import os

import pytest

from proxy.cli.operator import operator


def test_it_is_the_user_of_the_operating_system() -> None:
    assert operator() == (getpass.getuser(), "cli")


def test_a_user_without_a_name_goes_by_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nameless)

    assert operator() == (f"uid {os.getuid()}", "cli")
