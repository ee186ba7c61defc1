"""The JSON of the admin API about what was: entries of the journal, calls, and what they came to."""

from __future__ import annotations

from typing import Any, Literal

from proxy.admin.schemas import Amount, CallView, Money, Row

# --- The journal ---


class MovementRow(Row):
    """What an entry did to one counter, and how the counter stood after it."""

    counter: str
    budget: str
    subject: str | None
    unit: str
    spent_change: Amount
    reserved_change: Amount
    spent: Amount
    reserved: Amount
    overrun: Amount
    #: Its window was over already.
    prior_period: bool


class CheckRow(Row):
    """What a decision looked at in one budget."""

    budget: str
    subject: str | None
    unit: str
    held: Amount
    bound: Amount
    #: The one in force, grants included.
    limit: Amount
    mode: str
    #: There was no room for the call.
    short: bool


class EntryRow(Row):
    """One entry of the journal."""

    #: Its place in the archive's chain.
    number: int
    #: Its id in the journal.
    id: str
    kind: str
    at: str
    at_ms: int
    #: Null: it is about no call.
    call_id: str | None
    #: Whatever was said; of an act, `actor` and `from` say who did it, and from where.
    data: Any
    movements: list[MovementRow]
    checks: list[CheckRow]
    #: False: the archive will have it in a moment.
    archived: bool


# --- Calls ---


class CallLifeView(CallView):
    """The whole life of a call, with every entry of the journal about it."""

    #: In order; null: the archive does not answer.
    entries: list[EntryRow] | None


# --- Money ---


class SpendRow(Row):
    """What the calls of one group came to; what was not grouped by is null."""

    team: str | None = None
    user: str | None = None
    key_id: str | None = None
    provider: str | None = None
    model: str | None = None
    #: In UTC, such as `2026-11-23`.
    day: str | None = None
    calls: int
    refused: int
    #: Calls that have a receipt; null, as below: by user and by key, calls and charges are kept alone.
    receipted_calls: int | None
    input_tokens: int | None
    output_tokens: int | None
    settled: Money | None
    receipted: Money | None
    #: What counts: receipted, else settled, else what was held.
    charged: Money


# --- The chain ---


class VerificationView(Row):
    """Whether the archive is as it was written; what does not apply is null."""

    state: Literal["verified", "broken", "unfinished"]
    #: The entries that were looked at; both 0: there is none.
    first: int | None = None
    last: int | None = None
    entries: int | None = None
    #: Of the last entry, in hexadecimal: whoever keeps it can tell later whether anything changed.
    last_hash: str | None = None
    #: Signatures that were checked, and the keys that made them.
    checkpoints: int | None = None
    keys: list[str] | None = None
    #: Entries behind this one have the chain alone, so far.
    signed_to: int | None = None
    #: The first entry that is concerned, and what was done there.
    broken_at: int | None = None
    damage: str | None = None
    #: A sentence for people.
    said: str | None = None
