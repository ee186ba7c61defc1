"""The sections of the configuration about the archive and about alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from policies import texts
from policies.documents import Document
from policies.lined_yaml import Lined
from proxy.setting_values import ArchiveUrl, Count, Duration, Secret

WEBHOOK_SCHEMES: Final = ("http", "https")
#: What a rebuild of the ledger reads: the window of a month, and what belongs to its first days.
RETENTION_MS_MIN: Final = 35 * 86_400_000


class ArchiveSettings(Document):
    """Where the journal is kept, and how it gets there."""

    #: Left out: SQLite under `data_dir`.
    url: ArchiveUrl | None = Field(default=None, repr=False)
    #: How often the journal is looked into, and how much is written at once.
    every_ms: Duration = Field(default=500, alias="every")
    batch: Count = 1_000
    #: How long entries stay in Redis after the archive has them.
    keep_ms: Duration = Field(default=600_000, alias="keep")
    #: More entries than that in Redis mean that the archive is behind: an alert.
    backlog_max: Count = 100_000
    #: After so many entries, or so long, the head of the chain is signed.
    checkpoint_entries: Count = 10_000
    checkpoint_every_ms: Duration = Field(default=3_600_000, alias="checkpoint_every")
    #: A file to which every checkpoint is appended too: on another disk it outlives the archive.
    checkpoint_file: Path | None = None
    #: Postgres: months older than that are dropped. Left out: nothing is.
    retention_ms: Duration | None = Field(default=None, alias="retention")


def check_archive(lined: Lined, archive: ArchiveSettings) -> None:
    """Name what does not fit together."""
    on_postgres = archive.url is not None and urlsplit(archive.url).scheme.startswith("postgres")
    if archive.retention_ms is not None and not on_postgres:
        said = "needs Postgres, where whole months are dropped: set `url`, or remove it"
        lined.add(("archive", "retention"), said)
    if archive.retention_ms is not None and archive.retention_ms < RETENTION_MS_MIN:
        said = "is shorter than 35 days, and windows of budgets may be a month long: lengthen it"
        lined.add(("archive", "retention"), said)


class WebhookSettings(Document):
    """Who is told of alerts."""

    url: Annotated[str, AfterValidator(lambda text: texts.address(text, WEBHOOK_SCHEMES))] = Field(
        repr=False
    )
    #: `json` says everything; `slack` is what Slack's incoming webhooks take.
    format: Literal["json", "slack"] = "json"
    #: Signs what is sent; empty: it is not signed.
    secret: Secret = ""


class AlertSettings(Document):
    """When budgets are looked at, and who is told."""

    #: How often budgets, wallets, receipts and the archive are looked at.
    every_ms: Duration = Field(default=15_000, alias="every")
    webhooks: tuple[WebhookSettings, ...] = ()
    #: What is left of a wallet, as a share, when it counts as low.
    wallet_low: Annotated[int, Field(ge=0, le=100)] = 10
    #: Calls whose receipt is looked for since longer than that are overdue.
    receipts_overdue_ms: Duration = Field(default=21_600_000, alias="receipts_overdue")
    #: How long a webhook that does not answer is tried again.
    give_up_after_ms: Duration = Field(default=86_400_000, alias="give_up_after")
