"""The journal tells what was configured, and nothing that is secret."""

from __future__ import annotations

import json
from pathlib import Path

from proxy.cli.settings_entry import settings_document, settings_entry
from proxy.grant_store import Who
from proxy.settings import Settings, load_settings

TEXT = """
ledger: {url: "rediss://user:SECRET@redis.example:6380/0"}
archive: {url: "postgresql://user:SECRET@db.example:5432/bursar", retention: 400d}
admin: {tokens: [{token: SECRET-token, role: viewer, teams: [red], name: ada}]}
providers:
  one: {kind: agipower, base_url: "https://host.example/SECRET", api_key: sk-SECRET,
        management_key: mg-SECRET, headers: {x-org: SECRET}}
  two: {kind: venice, api_key: SECRET}
routes: [{models: ["zai-*"], provider: two}, {provider: one}]
prices: {"acme/mini": {input: 0.15, output: 0.60}}
receipts: {correct_quotes: true}
alerts: {webhooks: [{url: "https://hooks.example/SECRET", secret: SECRET}]}
traces: {endpoint: "http://localhost:4318/v1/traces", headers: {authorization: SECRET}}
"""
ADA = Who("ada", "cli")


def load(folder: Path, text: str = TEXT) -> Settings:
    (folder / "bursar.yaml").write_text(text)
    return load_settings(folder / "bursar.yaml", {})


def test_nothing_secret_is_in_it(tmp_path: Path) -> None:
    assert "SECRET" not in settings_entry(load(tmp_path), ADA)[1]


def test_it_says_what_decides_about_money(tmp_path: Path) -> None:
    document = settings_document(load(tmp_path))

    assert document["providers"]["one"]["place"] == "https://host.example"
    assert document["providers"]["one"]["keys"] == ["api_key", "management_key"]
    assert document["providers"]["one"]["headers"] == ["x-org"]
    assert [each["provider"] for each in document["routes"]] == ["two", "one"]
    assert document["prices"]["acme/mini"]["output"] == "0.60"
    assert document["receipts"] == {"correct_quotes": True}
    assert document["ledger"] == "rediss://redis.example:6380"
    assert document["archive"]["place"] == "postgresql://db.example:5432"
    assert document["archive"]["retention_ms"] == 400 * 86_400_000
    assert document["alerts"]["webhooks"] == ["https://hooks.example"]
    assert document["tokens"] == [
        {"name": "ada", "role": "viewer", "teams": ["red"], "expires_ms": None}
    ]


def test_it_names_who_started_the_proxy_and_a_version_that_changes_with_what_it_says(
    tmp_path: Path,
) -> None:
    version, data = settings_entry(load(tmp_path), ADA)
    again, _ = settings_entry(load(tmp_path, TEXT.replace("SECRET", "OTHER")), ADA)
    other, _ = settings_entry(load(tmp_path, TEXT.replace("400d", "500d")), ADA)

    said = json.loads(data)
    assert (said["actor"], said["from"], said["version"]) == ("ada", "cli", version)
    assert again == version
    assert other != version


def test_a_configuration_of_defaults_says_so(tmp_path: Path) -> None:
    document = settings_document(load(tmp_path, "providers: {}\n"))

    assert (document["ledger"], document["archive"]) == ("embedded", {"place": "sqlite"})
