"""The sections of the configuration about receipts and wallets."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from policies.documents import Document
from policies.lined_yaml import Lined
from proxy.setting_values import Count, Duration, Percent, Share

# The ledger keeps a call's record for three days after its end: a receipt must come before.
GIVE_UP_AFTER_MS_MAX: Final = 2 * 86_400_000


class ReceiptSettings(Document):
    """When providers are asked what they billed. AGIPower knows after 3 to 5 minutes."""

    first_after_ms: Duration = Field(default=180_000, alias="first_after")
    #: The pause after the first look-up without a receipt; it doubles each time.
    retry_after_ms: Duration = Field(default=60_000, alias="retry_after")
    retry_after_max_ms: Duration = Field(default=3_600_000, alias="retry_after_max")
    #: Then the call stays at its metered amount, flagged.
    give_up_after_ms: Duration = Field(default=86_400_000, alias="give_up_after")
    #: How often it is checked which look-ups are due.
    poll_every_ms: Duration = Field(default=5_000, alias="poll_every")
    #: How often a billing history is read, where a provider has no look-up by id.
    scan_every_ms: Duration = Field(default=300_000, alias="scan_every")
    #: By how much a scan goes back before the last one: rows may come late.
    scan_overlap_ms: Duration = Field(default=3_600_000, alias="scan_overlap")
    #: At each provider: management endpoints count requests.
    lookups_per_minute_max: Count = 60
    #: For one answer of a billing endpoint, all of it.
    timeout_ms: Duration = Field(default=30_000, alias="timeout")
    #: How long nothing new must have come of a call in a billing history until it counts as whole.
    rows_settle_ms: Duration = Field(default=60_000, alias="rows_settle")
    #: After so long, what no call explains counts as spent around the proxy.
    ghost_after_ms: Duration = Field(default=3_600_000, alias="ghost_after")
    #: A receipt of more than so many times what the call could cost is set aside as absurd.
    absurd_factor: Count = 100
    #: By how much a model's price list may be off, over a day, before it raises an alert…
    drift_max: Percent = 10
    #: …and how many receipts it takes to say so.
    drift_calls_min: Count = 20
    #: Whether quotes of a model that drifts are raised by as much as its bills were higher.
    correct_quotes: bool = False


class WalletSettings(Document):
    """How often providers are asked for quotas and balances."""

    every_ms: Duration = Field(default=60_000, alias="every")
    #: An older answer is stale: `when_stale` decides.
    stale_after_ms: Duration = Field(default=600_000, alias="stale_after")
    #: What is never used of a quota or a balance.
    keep: Share = 0
    #: What happens to calls while a quota is not known, or no longer.
    when_unknown: Literal["admit", "refuse"] = "admit"
    when_stale: Literal["admit", "refuse"] = "admit"
    #: Whether an account that its provider calls abusive is still used.
    when_abusive: Literal["admit", "refuse"] = "admit"
    #: How long bills take to reach a balance that lags; calls that ended later count beside it.
    balance_lag_ms: Duration = Field(default=300_000, alias="balance_lag")


def check_receipts(lined: Lined, receipts: ReceiptSettings) -> None:
    """Name what does not fit together."""
    if receipts.retry_after_ms > receipts.retry_after_max_ms:
        lined.add(("receipts", "retry_after"), "is longer than retry_after_max: shorten it")
    if receipts.first_after_ms >= receipts.give_up_after_ms:
        lined.add(("receipts", "first_after"), "is not before give_up_after: shorten it")
    if receipts.give_up_after_ms > GIVE_UP_AFTER_MS_MAX:
        said = "is longer than two days, and calls are forgotten a day later: shorten it"
        lined.add(("receipts", "give_up_after"), said)
