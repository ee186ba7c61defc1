"""The configuration: defaults, texts with units, and what is said about mistakes."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.settings import (
    MIB,
    GatewaySettings,
    ProviderSettings,
    Settings,
    SettingsErrors,
    environment,
    load_settings,
)

VARIABLES = {"BURSAR_ADMIN_TOKEN": "t", "AGIPOWER_API_KEY": "a", "VENICE_API_KEY": "v"}

CONTRACT = """\
gateway:  {host: 127.0.0.1, port: 8080, body_bytes_max: 64 MiB}
admin:    {host: 127.0.0.1, port: 8081, tokens: [{token: "${BURSAR_ADMIN_TOKEN}", role: admin}]}
ledger:   {url: "redis://localhost:6379/0"}      # left out: an embedded Redis under data_dir
archive:  {url: "postgresql://user:s3cret@host/bursar"}
data_dir: ./var
policies: ./policies.d                           # a file or a folder of *.yaml
providers:
  agipower: {kind: agipower, base_url: "https://agipower.test/", api_key: "${AGIPOWER_API_KEY}",
             management_key: "${AGIPOWER_MANAGEMENT_KEY:-}"}
  venice:   {kind: venice, base_url: "https://api.venice.ai/api", api_key: "${VENICE_API_KEY}"}
  other:    {kind: openai, base_url: "http://localhost:8000/v1", api_key: "…"}
routes:                                          # first match wins; model globs and dialects
  - {models: ["venice/*"], provider: venice}
  - {provider: agipower}
prices:                                          # per million tokens; overrides every other source
  "acme/mini": {input: 0.15, output: 0.60, cache_read: 0.075}
"""


def load_text(folder: Path, text: str) -> Settings:
    file = folder / "bursar.yaml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, VARIABLES)


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsErrors) as caught:
        load_text(folder, text)
    return [f"{each.line}: {each.field}: {each.message}" for each in caught.value.mistakes]


def test_the_example_of_the_contract_is_understood(tmp_path: Path) -> None:
    settings = load_text(tmp_path, CONTRACT)

    assert settings.gateway == GatewaySettings()
    assert settings.gateway.body_bytes_max == 64 * MIB
    assert settings.admin.tokens[0].token == "t"
    assert settings.ledger.url == "redis://localhost:6379/0"
    assert settings.archive.url == "postgresql://user:s3cret@host/bursar"
    assert settings.data_dir == tmp_path / "var"
    assert settings.policies == tmp_path / "policies.d"
    assert settings.providers["agipower"] == ProviderSettings(
        kind="agipower", base_url="https://agipower.test", api_key="a"
    )
    assert [route.provider for route in settings.routes] == ["venice", "agipower"]
    assert settings.price_fields() == {
        "acme/mini": {
            "input": Decimal("0.15"),
            "output": Decimal("0.60"),
            "cache_read": Decimal("0.075"),
        }
    }


def test_without_a_file_everything_has_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    settings = load_settings(None, {})

    assert settings.data_dir == tmp_path / "var"
    assert settings.policies == tmp_path / "policies.d"
    assert settings.model_copy(
        update={"data_dir": Path("var"), "policies": Path("policies.d")}
    ) == (Settings())


def test_an_empty_file_says_nothing_and_that_is_fine(tmp_path: Path) -> None:
    assert load_text(tmp_path, "# gateway: {port: 1}\n").gateway == GatewaySettings()


def test_the_file_in_the_working_folder_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bursar.yaml").write_text("workers: 3", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert load_settings(None, {}).workers == 3


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("workers: 4\ndata_dir: data", encoding="utf-8")

    settings = load_settings(None, {"BURSAR_CONFIG": str(tmp_path / "other.yaml")})

    assert settings.workers == 4
    assert settings.data_dir == tmp_path / "data"


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsErrors, match=r"no.yaml:1: cannot be read: No such file"):
        load_settings(tmp_path / "no.yaml", {})


def test_paths_may_be_absolute_or_begin_at_home(tmp_path: Path) -> None:
    settings = load_text(tmp_path, "data_dir: /srv/bursar\npolicies: ~/policies")

    assert settings.data_dir == Path("/srv/bursar")
    assert settings.policies == Path.home() / "policies"


def test_the_file_of_checkpoints_lies_beside_the_configuration(tmp_path: Path) -> None:
    settings = load_text(tmp_path, "archive: {checkpoint_file: elsewhere/checkpoints.jsonl}")

    assert settings.archive.checkpoint_file == tmp_path / "elsewhere/checkpoints.jsonl"


def test_months_are_dropped_on_postgres_alone(tmp_path: Path) -> None:
    with pytest.raises(SettingsErrors, match="retention"):
        load_text(tmp_path, "archive: {retention: 400d}")


def test_intervals_and_sizes_are_texts_with_units(tmp_path: Path) -> None:
    settings = load_text(
        tmp_path,
        "receipts: {first_after: 50ms, retry_after: 2s, retry_after_max: 1h, give_up_after: 1d}\n"
        "wallets: {every: 1s, keep: 0%}\n"
        "gateway:\n"
        "  timeouts: {connect: 5s, upstream_idle: 10m, shutdown: 1m}\n"
        "  drain: {calls_max: 10, bytes_max: 100 kB, time: 90s}\n"
        "  refusal_status: {messages: 429}\n",
    )

    assert settings.receipts.first_after_ms == 50
    assert settings.receipts.retry_after_ms == 2_000
    assert settings.receipts.retry_after_max_ms == 3_600_000
    assert settings.receipts.give_up_after_ms == 86_400_000
    assert settings.wallets.every_ms == 1_000
    assert settings.wallets.keep == 0
    assert settings.gateway.timeouts.upstream_idle_ms == 600_000
    assert settings.gateway.drain.bytes_max == 100_000
    assert settings.gateway.drain.time_ms == 90_000
    assert settings.gateway.refusal_status.messages == 429
    assert settings.gateway.refusal_status.responses == 402


def test_a_provider_knows_its_address_by_its_kind(tmp_path: Path) -> None:
    settings = load_text(tmp_path, "providers: {claude: {kind: anthropic, api_key: k}}")

    assert settings.providers["claude"].base_url == "https://api.anthropic.com"


def test_a_price_may_have_tiers_and_fees(tmp_path: Path) -> None:
    text = """\
prices:
  "acme/*":
    input: 3
    context_window: 1000000
    tiers: [{from_input_tokens: 200000, input: 6, output: 22.5}]
    service_tiers: {priority: 2}
    tools: {web_search: 0.01}
"""

    assert load_text(tmp_path, text).price_fields() == {
        "acme/*": {
            "input": Decimal(3),
            "context_window": 1_000_000,
            "tiers": (
                {"from_input_tokens": 200_000, "input": Decimal(6), "output": Decimal("22.5")},
            ),
            "service_tiers": {"priority": Decimal(2)},
            "tools": {"web_search": Decimal("0.01")},
        }
    }


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    shown = repr(load_text(tmp_path, CONTRACT.replace("localhost:6379", ":s3cret@localhost:6379")))

    assert "s3cret" not in shown
    assert "'t'" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "rediss://user:pass@host",
        "unix:///run/redis.sock",
        "redis+sentinel://one:26379,two:26379/mymaster/0",
        "redis+cluster://one,two",
    ],
)
def test_a_ledger_may_be_one_server_sentinel_or_cluster(tmp_path: Path, url: str) -> None:
    assert load_text(tmp_path, f"ledger: {{url: '{url}'}}").ledger.url == url


PROVIDER = "providers: {p: {kind: openai}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gatway: {}", "1: gatway: is not a field here: did you mean 'gateway'?"),
        ("gateway:\n  prot: 1", "2: gateway.prot: is not a field here: did you mean 'port'?"),
        (
            "gateway:\n  drain:\n    tyme: 1m",
            "3: gateway.drain.tyme: is not a field here: did you mean 'time'?",
        ),
        (
            "providers:\n  p: {kind: openai, api_kee: x}",
            "2: providers.p.api_kee: is not a field here: did you mean 'api_key'?",
        ),
        (
            "admin:\n  tokens:\n  - {token: t, role: viewer, team: [a]}",
            "3: admin.tokens[0].team: is not a field here: did you mean 'teams'?",
        ),
        ("gateway:", "1: gateway: has no value: write one, or remove the field"),
        ("gateway: 8080", "1: gateway: must be a mapping: write 'name: value' lines below it"),
        ("gateway: {port: 65536}", "1: gateway.port: '65536' is too large: the most is 65535"),
        ("gateway: {port: http}", "1: gateway.port: 'http' is not a number: write digits, "),
        ("gateway: {port: 8081}", "1: gateway.port: 8081 serves both gateway and admin: use two"),
        ("admin: {port: 8080}", "1: admin.port: 8080 serves both gateway and admin: use two ports"),
        ("gateway: {body_bytes_max: 64 MB2}", "1: gateway.body_bytes_max: '64 MB2' is not a size"),
        (
            "gateway: {refusal_status: {messages: 200}}",
            "1: gateway.refusal_status.messages: '200' is too small: the least is 400",
        ),
        ("gateway: {timeouts: {connect: 5}}", "1: gateway.timeouts.connect: '5' is not a duration"),
        ("wallets: {every: 0s}", "1: wallets.every: '0s' is too small: the least is 1"),
        (
            "admin: {tokens: [{token: '', role: admin}]}",
            "1: admin.tokens[0].token: is empty: write a value, or remove it",
        ),
        (
            "admin: {tokens: [{token: t, role: owner}]}",
            "1: admin.tokens[0].role: 'owner' is not known: use 'admin' or 'viewer'",
        ),
        (
            "admin:\n  tokens:\n  - {token: t, role: viewer}\n  - {token: t, role: admin}",
            "4: admin.tokens[1].token: is the same as in admin.tokens[0]: use another one",
        ),
        (
            "admin: {tokens: [{token: t, role: admin, teams: [a]}]}",
            "1: admin.tokens[0].teams: an admin sees all teams: use viewer, or remove it",
        ),
        ("ledger: {url: 'http://:s3cret@host'}", "1: ledger.url: is not a ledger's address: use"),
        ("archive: {url: 'mysql://h/db'}", "1: archive.url: begins with no known scheme: use post"),
        (
            "providers: {p: {kind: agipower, api_key: k}}",
            "1: providers.p.base_url: is missing: add it",
        ),
        ("providers: {p: {base_url: 'http://h'}}", "1: providers.p.kind: is missing: add it"),
        ("providers: {p: [openai]}", "1: providers.p: must be a mapping: write 'name: value'"),
        (
            "providers: {p: {kind: openia}}",
            "1: providers.p.kind: 'openia' is not known: use 'agipower', 'venice', 'openai',",
        ),
        (
            "providers: {p: {kind: openai, base_url: 'ftp://h'}}",
            "1: providers.p.base_url: begins with no known scheme: use https, http",
        ),
        (
            "providers: {p: {kind: openai, paths: {models: v1/models}}}",
            "1: providers.p.paths.models: 'v1/models' is not a path: begin it with /",
        ),
        ("providers: {v1: {kind: openai}}", "1: providers.v1: 'v1' begins other paths: give it"),
        ("providers: {a b: {kind: openai}}", "1: providers.a b: 'a b' is not a name: use letters"),
        (PROVIDER + "routes: [{provider: q}]", "2: routes[0].provider: 'q' is not a provider: "),
        (
            PROVIDER + "routes: [{provider: p, dialects: [chat]}]",
            "2: routes[0].dialects[0]: 'chat' is not known: use 'chat_completions', 'responses',",
        ),
        (
            PROVIDER + "routes:\n- {provider: p}\n- {models: ['a*'], provider: p}",
            "4: routes[1]: never matches, for the route in line 3 takes all its calls: put it",
        ),
        ("prices: {m: {output: 1}}", "1: prices.m.input: is missing: add it"),
        ("prices: {m: {input: -1}}", "1: prices.m.input: '-1' is too small: the least is 0"),
        ("prices: {m: {input: free}}", "1: prices.m.input: 'free' is not a number: write digits"),
        ("prices: {m: {input: NaN}}", "1: prices.m.input: 'NaN' does not fit: should be a finite"),
        (
            "receipts: {retry_after: 2h}",
            "1: receipts.retry_after: is longer than retry_after_max: shorten it",
        ),
        (
            "receipts: {first_after: 2d}",
            "1: receipts.first_after: is not before give_up_after: shorten it",
        ),
        ("workers: 0", "1: workers: '0' is too small: the least is 1"),
        ("log: {level: loud}", "1: log.level: 'loud' is not known: use 'debug', 'info', 'warning'"),
        ("data_dir: [a]", "1: data_dir: must be a single text"),
        ("a: {", "1: : is not valid YAML"),
        ("data_dir: ${NOT_SET}", "1: data_dir: the environment variable NOT_SET is not set: set"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    found = mistakes(tmp_path, text)

    assert len(found) == 1
    assert found[0].startswith(expected)


def test_all_mistakes_are_named_at_once_and_in_order(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path, "workers: many\ngateway: {port: -1, host: ''}\nadmin: {tokens: [{role: admin}]}"
    )

    assert [line.rsplit(": ", 2)[0].split(": ")[:2] for line in found] == [
        ["1", "workers"],
        ["2", "gateway.host"],
        ["2", "gateway.port"],
        ["3", "admin.tokens[0].token"],
    ]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("provider: p, models: ['a/*']", "provider: p, models: ['*/b']"),
        ("provider: p, models: ['a?']", "provider: p, models: ['a*']"),
        ("provider: p, models: ['a']", "provider: p"),
        ("provider: p, models: ['*']", "provider: p"),
        ("provider: p, dialects: [messages]", "provider: p"),
        ("provider: p, dialects: [messages]", "provider: p, dialects: [messages, responses]"),
        ("provider: p, models: ['a', 'b']", "provider: p, models: ['b', 'c']"),
    ],
)
def test_routes_that_can_match_are_fine(tmp_path: Path, earlier: str, later: str) -> None:
    settings = load_text(tmp_path, f"{PROVIDER}routes: [{{{earlier}}}, {{{later}}}]")

    assert len(settings.routes) == 2


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("provider: p", "provider: p"),
        ("provider: p", "provider: p, models: ['*']"),
        ("provider: p, models: ['a*']", "provider: p, models: ['ab*', 'a']"),
        ("provider: p, models: ['a?']", "provider: p, models: ['a?']"),
        ("provider: p", "provider: p, dialects: [messages]"),
        (
            "provider: p, dialects: [messages, responses]",
            "provider: p, dialects: [responses], models: [a]",
        ),
    ],
)
def test_a_route_that_never_matches_is_a_mistake(tmp_path: Path, earlier: str, later: str) -> None:
    found = mistakes(tmp_path, f"{PROVIDER}routes: [{{{earlier}}}, {{{later}}}]")

    assert [line.split(": ")[1] for line in found] == ["routes[1]"]


def test_the_environment_is_a_copy() -> None:
    taken = environment()

    assert taken == dict(os.environ)
    assert taken is not os.environ
