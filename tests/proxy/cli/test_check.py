"""`bursar check`: what is fine, and every mistake with file and line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from proxy.archive_settings import AlertSettings
from proxy.billing_settings import ReceiptSettings, WalletSettings
from proxy.cli.main import run
from proxy.settings import load_settings

Output = pytest.CaptureFixture[str]


def test_the_configuration_and_the_policies_that_it_names_are_checked(
    folder: Path, capsys: Output
) -> None:
    assert run(["check"]) == 0

    shown = capsys.readouterr().out
    assert "./bursar.yaml: sim; routes: 0, prices: 0" in shown
    assert "teams: 2, budgets: 3" in shown


def test_every_mistake_is_a_line_with_file_and_line(folder: Path, capsys: Output) -> None:
    text = (folder / "policies.yaml").read_text()
    (folder / "policies.yaml").write_text(
        text.replace("100 USD", "100 UDS").replace("window: day", "window: fortnight")
    )

    assert run(["check"]) == 2

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{folder / 'policies.yaml'}:7: budgets[0].limit: 'UDS'")
    assert lines[1].startswith(f"{folder / 'policies.yaml'}:8: budgets[1].window: ")


def test_mistakes_of_the_configuration_are_found_by_name_of_the_file(
    folder: Path, capsys: Output
) -> None:
    (folder / "other.yaml").write_text("gateway: {prot: 80}\n")

    assert run(["check", "other.yaml"]) == 2

    assert "other.yaml:1: gateway.prot: is not a field here" in capsys.readouterr().err


def test_a_policy_file_and_a_folder_of_them_are_told_from_a_configuration(
    folder: Path, capsys: Output
) -> None:
    inner = folder / "policies.d"
    inner.mkdir()
    (inner / "one.yaml").write_text("teams: {green: {}}\n")

    assert run(["check", "policies.yaml"]) == 0
    assert run(["check", "policies.d"]) == 0
    assert run(["check", "policies.yaml", "bursar.yaml"]) == 0

    assert "./policies.d: default; teams: 1, budgets: 0" in capsys.readouterr().out


def test_a_path_that_is_not_there_is_a_mistake(folder: Path, capsys: Output) -> None:
    assert run(["check", "nowhere"]) == 2

    assert "nowhere:1: does not exist" in capsys.readouterr().err


def test_programs_get_json(folder: Path, capsys: Output) -> None:
    assert run(["check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "mistakes": []}
    (folder / "policies.yaml").write_text("budget: []\n")

    assert run(["check", "--json"]) == 2

    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert found["mistakes"][0]["line"] == 1
    assert found["mistakes"][0]["field"] == "budget"


def test_the_file_can_be_named(folder: Path, capsys: Output) -> None:
    (folder / "bursar.yaml").rename(folder / "named.yaml")

    assert run(["check", "--config", "named.yaml"]) == 0

    assert "./named.yaml" in capsys.readouterr().out


def test_the_example_has_every_setting_of_receipts_wallets_and_alerts_with_its_default(
    tmp_path: Path,
) -> None:
    text = (Path(__file__).parents[3] / "config" / "bursar.yaml").read_text()
    sections = text[text.index("# receipts:") :]
    shown = re.sub(r"^# (receipts:|wallets:|alerts:| +\S)", r"\1", sections, flags=re.MULTILINE)
    (tmp_path / "bursar.yaml").write_text(shown)

    secrets = {"WEBHOOK_SECRET": "whsec_c2VjcmV0", "SLACK_WEBHOOK": "https://hooks.slack.com/x"}

    settings = load_settings(tmp_path / "bursar.yaml", secrets)

    assert settings.receipts == ReceiptSettings()
    assert settings.alerts.model_copy(update={"webhooks": ()}) == AlertSettings()
    assert [each.format for each in settings.alerts.webhooks] == ["json", "slack"]
    assert settings.wallets == WalletSettings.model_validate({"keep": "5%"})
    for section in (settings.receipts, settings.wallets, settings.alerts):
        assert section.model_fields_set == set(type(section).model_fields)
