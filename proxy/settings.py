"""The configuration, `bursar.yaml`: its fields, their defaults, and what must hold between them.

Durations are texts such as `500ms`, `3m` or `24h`, sizes texts such as `64 MiB`. Relative paths are
relative to the configuration file. Unknown fields are mistakes, as is a variable that is not set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from policies import texts
from policies.documents import Document, Name, Text, Texts, validated
from policies.lined_yaml import Lined, Mistakes, read
from policies.texts import suggestion
from proxy.archive_settings import AlertSettings, ArchiveSettings, check_archive
from proxy.billing_settings import ReceiptSettings, WalletSettings, check_receipts
from proxy.setting_values import (
    Count,
    Dollars,
    Duration,
    LedgerUrl,
    Percent,
    Port,
    Secret,
    Size,
    Status,
)

DEFAULT_FILE: Final = "bursar.yaml"
MIB: Final = 1024 * 1024
#: Where each kind of provider is by default; AGIPower's address is the operator's to know.
HTTP_SCHEMES: Final = ("http", "https")
BASE_URLS: Final = {
    "venice": "https://api.venice.ai/api",
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
    "openrouter": "https://openrouter.ai/api/v1",
    "vercel": "https://ai-gateway.vercel.sh/v1",
}
#: Names that `/{provider}` cannot have: they begin the paths of dialects and of health checks.
RESERVED_NAMES: Final = frozenset({"api", "v1", "v1beta", "v1beta1", "healthz", "readyz"})

Dialect = Literal["chat_completions", "responses", "messages", "generate_content", "embeddings"]
ProviderKind = Literal[
    "agipower", "venice", "openai", "anthropic", "google", "openrouter", "vercel"
]


class SettingsErrors(Mistakes):
    """The configuration cannot be used; every mistake in it is named."""


# --- The sections ---


class Timeouts(Document):
    """How long the gateway waits."""

    #: For a connection to a provider.
    connect_ms: Duration = Field(default=10_000, alias="connect")
    #: For the next byte of a provider's answer; reasoning models think for minutes.
    upstream_idle_ms: Duration = Field(default=600_000, alias="upstream_idle")
    #: For calls in flight after SIGTERM, before they are left to their receipts.
    shutdown_ms: Duration = Field(default=30_000, alias="shutdown")


class Drain(Document):
    """How far an answer is read on, to be metered, after its client went away."""

    #: At the same time, in each worker.
    calls_max: Count = 1_000
    #: Of one answer.
    bytes_max: Size = 64 * MIB
    time_ms: Duration = Field(default=600_000, alias="time")


class RefusalStatus(Document):
    """The status of a refusal, by dialect: 402 makes every SDK stop (facts/protocols.md, C4)."""

    chat_completions: Status = 402
    responses: Status = 402
    messages: Status = 402
    generate_content: Status = 402
    embeddings: Status = 402


class GatewaySettings(Document):
    """Where applications call."""

    host: Text = "127.0.0.1"
    #: 0 takes any that is free.
    port: Port = 8080
    #: Of one request; larger ones are refused.
    body_bytes_max: Size = 64 * MIB
    #: Requests at once in one worker; more are told to come again (503).
    calls_max: Count = 4_096
    timeouts: Timeouts = Timeouts()
    drain: Drain = Drain()
    refusal_status: RefusalStatus = RefusalStatus()


class AdminToken(Document):
    """Who may use the admin plane."""

    token: Annotated[Secret, Field(min_length=1)]
    role: Literal["admin", "viewer"]
    #: A viewer of these teams alone; empty for all.
    teams: Texts = ()
    #: Who has it, as the journal names them; left out: it goes by the beginning of its SHA-256.
    name: Text | None = None
    #: When it ends; a date ends at its first moment in UTC. Left out: never.
    expires_ms: Annotated[int, Field(ge=0)] | None = Field(default=None, alias="expires")

    @field_validator("expires_ms", mode="before")
    @classmethod
    def _moment(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        said = f"'{value}' is not a time: write 2026-12-31 or 2026-12-31T18:00:00Z"
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(said) from None
        if found.tzinfo is None:
            if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
                raise ValueError(f"'{value}' names no time zone: end it with Z, or with +01:00")
            found = found.replace(tzinfo=UTC)
        return int(found.timestamp() * 1000)


class AdminSettings(Document):
    """Where operators look; without tokens only health and metrics answer."""

    host: Text = "127.0.0.1"
    port: Port = 8081
    tokens: tuple[AdminToken, ...] = ()


class LedgerSettings(Document):
    """Where money in flight is counted."""

    #: Left out: an embedded Redis under `data_dir`. Sentinel and Cluster have schemes of their own.
    url: LedgerUrl | None = Field(default=None, repr=False)
    #: A longer answer than this counts as none; then each budget's `when_ledger_down` decides.
    timeout_ms: Duration = Field(default=1_000, alias="timeout")
    #: How long a reservation lives without news of its worker.
    lease_ms: Duration = Field(default=60_000, alias="lease")


class ProviderSettings(Document):
    """Who is forwarded to."""

    kind: ProviderKind
    base_url: Annotated[str, AfterValidator(texts.base_url)]
    #: Empty: none is sent (a model server of one's own).
    api_key: Secret = ""
    #: AGIPower: for subscriptions and balances.
    management_key: Secret = ""
    #: Venice: for the billing history, which the inference key may not read.
    billing_key: Secret = ""
    #: Venice: which history is read; `auto` reads the old one until that says that it is gone.
    billing: Literal["auto", "usage", "usage-history"] = "auto"
    #: Venice: in which form the history is asked for.
    billing_format: Literal["json", "csv"] = "json"
    #: AGIPower: what the console calls the key, to tell traffic of other keys from that of this one.
    api_key_id: Annotated[str, AfterValidator(str.strip)] = ""
    #: Paths that differ from those of the kind, by their names.
    paths: dict[Text, Annotated[str, AfterValidator(texts.path)]] = Field(default_factory=dict)
    #: Sent with each request, such as an organisation's id.
    headers: dict[Text, Annotated[str, AfterValidator(texts.secret)]] = Field(
        default_factory=dict, repr=False
    )

    @model_validator(mode="before")
    @classmethod
    def _with_base_url(cls, data: Any) -> Any:  # noqa: ANN401 - Whatever the file holds.
        if not isinstance(data, dict) or data.get("kind") == "agipower":
            return data
        # A kind that is missing or unknown has no known address either: one mistake, not two.
        return {"base_url": BASE_URLS.get(str(data.get("kind")), "http://unknown"), **data}


class RouteSettings(Document):
    """Which calls go to a provider; the first route that matches wins."""

    #: Globs on the model as the caller names it; left out: all calls, those without a model too.
    models: Texts = ()
    #: Left out: all dialects.
    dialects: tuple[Dialect, ...] = ()
    provider: Text


class TokenPrices(Document):
    """US dollars per million tokens, and per piece for `web_search` and `call`."""

    input: Dollars
    output: Dollars | None = None
    cache_read: Dollars | None = None
    cache_write_5m: Dollars | None = None
    cache_write_1h: Dollars | None = None
    audio_input: Dollars | None = None
    media_input: Dollars | None = None
    reasoning: Dollars | None = None
    audio_output: Dollars | None = None
    web_search: Dollars | None = None
    call: Dollars | None = None


class TierPrices(TokenPrices):
    """Prices from a size of input on."""

    output: Dollars
    from_input_tokens: Count


class PriceSettings(TokenPrices):
    """What one model costs; a name may be a glob."""

    context_window: Annotated[int, Field(ge=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    #: Tokens that one byte of a request can become.
    tokens_per_byte_max: Annotated[int, Field(ge=1, le=16)] = 1
    tiers: tuple[TierPrices, ...] = ()
    #: By the tier's name: what it multiplies prices by.
    service_tiers: dict[Text, Annotated[Decimal, Field(ge=0, le=100)]] = Field(default_factory=dict)
    #: US dollars per use of a tool that the provider runs, by its kind.
    tools: dict[Text, Dollars] = Field(default_factory=dict)


class LogSettings(Document):
    """What is logged; `auto` is `console` on a terminal and `json` elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class TraceSettings(Document):
    """Where spans of calls are sent; needs the extra `bursar[otel]`."""

    #: Of a collector that takes OTLP over HTTP, such as http://localhost:4318/v1/traces.
    endpoint: (
        Annotated[str, AfterValidator(lambda text: texts.address(text, HTTP_SCHEMES))] | None
    ) = None
    headers: dict[Text, Annotated[str, AfterValidator(texts.secret)]] = Field(
        default_factory=dict, repr=False
    )
    #: Of calls that come without a trace of their own.
    sample: Percent = 100


class Settings(Document):
    """The whole configuration."""

    gateway: GatewaySettings = GatewaySettings()
    admin: AdminSettings = AdminSettings()
    ledger: LedgerSettings = LedgerSettings()
    archive: ArchiveSettings = ArchiveSettings()
    data_dir: Path = Path("var")
    #: A file or a folder of `*.yaml`.
    policies: Path = Path("policies.d")
    providers: dict[Name, ProviderSettings] = Field(default_factory=dict)
    #: Left out: everything goes to the provider, if there is just one.
    routes: tuple[RouteSettings, ...] = ()
    prices: dict[Text, PriceSettings] = Field(default_factory=dict)
    receipts: ReceiptSettings = ReceiptSettings()
    wallets: WalletSettings = WalletSettings()
    alerts: AlertSettings = AlertSettings()
    #: Processes that share the port.
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    log: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()

    def price_fields(self) -> dict[str, dict[str, Any]]:
        """Return the prices as they were written, without what was left out."""
        return {name: price.model_dump(exclude_unset=True) for name, price in self.prices.items()}


# --- From the file to the settings ---


def environment() -> dict[str, str]:
    """Return the environment as it is now; nothing else reads it."""
    return dict(os.environ)


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a file; without one, those of `$BURSAR_CONFIG` or `./bursar.yaml`.

    Where nothing is named and there is no `./bursar.yaml`, everything has its default.

    Raises:
        SettingsErrors: the configuration cannot be used; every mistake in it is named.
    """
    named = path or (Path(environ["BURSAR_CONFIG"]) if environ.get("BURSAR_CONFIG") else None)
    file = named or Path(DEFAULT_FILE)
    if named is None and not file.exists():
        return _resolved(Settings(), Path())
    lined = read(file, environ)
    settings = validated(Settings, lined, (), lined.data)
    if settings is not None:
        _check_listeners(lined, settings)
        _check_providers(lined, settings)
        _check_routes(lined, settings)
        check_receipts(lined, settings.receipts)
        check_archive(lined, settings.archive)
    if settings is None or lined.mistakes:
        raise SettingsErrors(sorted(lined.mistakes, key=lambda mistake: mistake.line))
    return _resolved(settings, file.parent)


def _resolved(settings: Settings, folder: Path) -> Settings:
    """Return the settings with absolute paths."""
    folders = {
        name: (folder / getattr(settings, name).expanduser()).absolute()
        for name in ("data_dir", "policies")
    }
    archive = settings.archive
    if archive.checkpoint_file is not None:
        file = (folder / archive.checkpoint_file.expanduser()).absolute()
        archive = archive.model_copy(update={"checkpoint_file": file})
    return settings.model_copy(update={**folders, "archive": archive})


# --- What must hold between fields ---


def _check_listeners(lined: Lined, settings: Settings) -> None:
    gateway, admin = settings.gateway, settings.admin
    if gateway.port == admin.port != 0 and gateway.host == admin.host:
        place = ("admin", "port") if ("admin", "port") in lined.lines else ("gateway", "port")
        lined.add(place, f"{admin.port} serves both gateway and admin: use two ports")
    first: dict[str, int] = {}
    for index, entry in enumerate(admin.tokens):
        place_of_token = ("admin", "tokens", index)
        if first.setdefault(entry.token, index) != index:
            said = f"is the same as in admin.tokens[{first[entry.token]}]: use another one"
            lined.add((*place_of_token, "token"), said)
        if entry.teams and entry.role == "admin":
            lined.add(
                (*place_of_token, "teams"), "an admin sees all teams: use viewer, or remove it"
            )


def _check_providers(lined: Lined, settings: Settings) -> None:
    for name in sorted(RESERVED_NAMES & settings.providers.keys()):
        lined.add(("providers", name), f"'{name}' begins other paths: give it another name")


def _check_routes(lined: Lined, settings: Settings) -> None:
    for index, route in enumerate(settings.routes):
        place = ("routes", index)
        if route.provider not in settings.providers:
            hint = suggestion(route.provider, settings.providers)
            lined.add((*place, "provider"), f"'{route.provider}' is not a provider: {hint}")
        for earlier in range(index):
            if _shadows(settings.routes[earlier], route):
                line = lined.line(("routes", earlier))
                said = f"never matches, for the route in line {line} takes all its calls: "
                lined.add(place, said + "put it before that one, or remove it")
                break


def _shadows(earlier: RouteSettings, later: RouteSettings) -> bool:
    """Tell whether whatever matches the later route matches the earlier one before."""
    if earlier.dialects and not (later.dialects and set(later.dialects) <= set(earlier.dialects)):
        return False
    if not earlier.models or not later.models:
        return not earlier.models
    return all(any(_covers(wide, glob) for wide in earlier.models) for glob in later.models)


def _covers(wide: str, glob: str) -> bool:
    """Tell whether a glob with no other sign than * matches all that another one does."""
    return wide == glob or (not set("?[") & set(wide) and fnmatchcase(glob, wide))
