"""The demo's folder: written once, private, and nobody else's."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from policies.documents import load
from proxy.cli.configuration import configured
from proxy.cli.demo_folder import DemoFolder, NotADemoFolder, Secrets

PROVIDER = "http://127.0.0.1:9090"


def prepare(folder: DemoFolder, port: int = 8080) -> Secrets:
    return folder.prepare(port=port, admin_port=8081, provider=PROVIDER)


def test_what_is_written_is_a_configuration_without_mistakes(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path / "deep" / "demo")

    known = prepare(folder)

    found = configured(folder.configuration)
    assert found.settings.data_dir == folder.path
    assert set(found.settings.providers) == {"agipower", "venice"}
    assert found.settings.admin.tokens[0].token == known.admin_token
    assert list(found.rulebook.teams) == ["research", "support", "interns"]


def test_only_its_owner_reads_what_opens_something(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path)
    prepare(folder)

    for name in ("bursar.yaml", "keys.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_keys_and_policies_stay_as_they_are(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path)
    known = prepare(folder)
    known.keys["research"] = ("key_1", "bsr_secret")
    folder.keep(known)
    folder.policies.write_text("teams: {mine: {}}\n")

    again = prepare(DemoFolder(tmp_path), port=9999)

    assert again == known
    assert list(load([folder.policies]).teams) == ["mine"]
    assert "port: 9999" in folder.configuration.read_text()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"keys": {"a": 1}, "admin_token": "x"}'])
def test_a_file_of_keys_that_makes_no_sense_is_made_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)

    known = prepare(DemoFolder(tmp_path))

    assert known.keys == {}
    assert known.admin_token.startswith("adm_")


def test_a_configuration_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "bursar.yaml").write_text("providers: {}\n")

    with pytest.raises(NotADemoFolder, match="choose another --data-dir"):
        prepare(DemoFolder(tmp_path))

    assert (tmp_path / "bursar.yaml").read_text() == "providers: {}\n"
