"""Which configuration a command works with."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.documents import PolicyErrors
from proxy.cli.configuration import configured, with_ports
from proxy.settings import SettingsErrors


def test_the_file_in_the_working_directory_is_taken(folder: Path) -> None:
    found = configured(None)

    assert list(found.settings.providers) == ["sim"]
    assert list(found.rulebook.teams) == ["red", "blue"]


def test_variables_stand_for_values_in_policies_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_LIMIT", "7 USD")
    text = (folder / "policies.yaml").read_text()
    (folder / "policies.yaml").write_text(text.replace("limit: 100 USD", 'limit: "${THE_LIMIT}"'))

    assert configured(None).rulebook.budgets["all"].limit == 7_000_000_000


def test_mistakes_are_raised(folder: Path) -> None:
    (folder / "policies.yaml").write_text("nonsense: 1\n")
    with pytest.raises(PolicyErrors):
        configured(None)
    (folder / "bursar.yaml").write_text("nonsense: 1\n")
    with pytest.raises(SettingsErrors):
        configured(None)


def test_the_command_line_chooses_ports(folder: Path) -> None:
    settings = configured(None).settings

    changed = with_ports(settings, 1, 2)

    assert (changed.gateway.port, changed.admin.port) == (1, 2)
    assert with_ports(settings, None, None) == settings
