"""The sections about the archive and about alerts: what they may say, and what does not fit together."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from policies.lined_yaml import read
from proxy.archive_settings import AlertSettings, ArchiveSettings, check_archive

POSTGRES = "postgresql://user:s3cret@host/bursar"


def mistakes(folder: Path, text: str) -> list[str]:
    path = folder / "bursar.yaml"
    path.write_text(text)
    lined = read(path, {})
    check_archive(lined, ArchiveSettings(**lined.data["archive"]))
    return [f"{mistake.line}: {mistake}" for mistake in lined.mistakes]


def test_everything_has_a_default() -> None:
    archive = ArchiveSettings()

    assert (archive.url, archive.retention_ms, archive.checkpoint_file) == (None, None, None)
    assert (archive.every_ms, archive.batch, archive.keep_ms) == (500, 1_000, 600_000)


def test_everything_can_be_said() -> None:
    archive = ArchiveSettings.model_validate(
        {
            "url": POSTGRES,
            "every": "2s",
            "batch": 50,
            "keep": "1h",
            "backlog_max": 9,
            "checkpoint_entries": 5,
            "checkpoint_every": "10m",
            "checkpoint_file": "/elsewhere/checkpoints.jsonl",
            "retention": "400d",
        }
    )

    assert (archive.every_ms, archive.batch, archive.keep_ms) == (2_000, 50, 3_600_000)
    assert archive.retention_ms == 400 * 86_400_000
    assert "s3cret" not in repr(archive)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "mysql://host/db"},
        {"every": "0s"},
        {"every": "soon"},
        {"batch": 0},
        {"batch": 10_000_000},
        {"retention": "-1d"},
        {"colour": "blue"},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ArchiveSettings.model_validate(wrong)


@pytest.mark.parametrize("url", ["", "url: 'sqlite:///archive.sqlite', "])
def test_retention_needs_postgres(tmp_path: Path, url: str) -> None:
    found = mistakes(tmp_path, f"\narchive: {{{url}retention: 400d}}")

    assert len(found) == 1
    assert "archive.retention" in found[0]
    assert "Postgres" in found[0]


def test_retention_outlives_a_months_window(tmp_path: Path) -> None:
    found = mistakes(tmp_path, f"archive: {{url: '{POSTGRES}', retention: 30d}}")

    assert len(found) == 1
    assert "35 days" in found[0]


@pytest.mark.parametrize(
    "text", [f"archive: {{url: '{POSTGRES}', retention: 400d}}", "archive: {}"]
)
def test_what_fits_is_no_mistake(tmp_path: Path, text: str) -> None:
    assert mistakes(tmp_path, text) == []


def test_alerts_may_be_told_to_webhooks() -> None:
    alerts = AlertSettings.model_validate(
        {"webhooks": [{"url": "https://host/hook", "format": "slack"}]}
    )

    assert [each.format for each in alerts.webhooks] == ["slack"]
    assert "host" not in repr(alerts.webhooks[0])


@pytest.mark.parametrize(
    "wrong", [{"url": "ftp://host/"}, {"url": "https://h/", "format": "fax"}, {}]
)
def test_a_webhook_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AlertSettings.model_validate({"webhooks": [wrong]})
