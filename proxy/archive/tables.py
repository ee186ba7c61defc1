"""The archive's tables: the journal itself, append-only and chained, and what is derived from it.

`entries`, `checkpoints` and `signing_keys` are evidence: the database refuses to change or delete their
rows (the migrations add triggers). Everything else is derived from entries by the writer, in the
transaction that adds them, and can be made anew from them.

Amounts are whole numbers: nano-dollars where the name says so, else the unit of the row. `organization_id`
leads every key, so that organisations never touch each other's pages. `month` is a number such as 202611;
on Postgres `entries` and `calls` have one partition for each month of an organisation.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

metadata: Final = MetaData()
#: Compared byte by byte, so that what begins with a text is found by the key, whatever the server's language.
BYTEWISE: Final = Text().with_variant(Text(collation="C"), "postgresql")

#: The head of each organisation's chain; the writer moves it with every batch.
organizations: Final = Table(
    "organizations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    # The last entry: its number (0: none yet), its hash, and its id in the journal's stream, which
    # begins anew when Redis was emptied: ids are no order.
    Column("number", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("stream_id", Text, nullable=False),
    # The month that entries are filed in; it never goes back, whatever the clock does.
    Column("month", Integer, nullable=False),
    # The first entry that retention has left, and the hash of the one before it.
    Column("first_number", BigInteger, nullable=False),
    Column("first_hash", LargeBinary, nullable=False),
)

#: The journal: each entry as it was, and its link in the chain (`proxy/archive/chain.py`).
entries: Final = Table(
    "entries",
    metadata,
    Column("organization_id", Integer, nullable=False),
    # 1, 2, 3 … without a gap.
    Column("number", BigInteger, nullable=False),
    Column("month", Integer, nullable=False),
    Column("stream_id", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    # The form of the entry; one that this program does not know is kept, and derived from by none.
    Column("version", SmallInteger, nullable=False),
    Column("kind", Text, nullable=False),
    # Null: not about one call.
    Column("call_id", Text),
    # JSON texts, as they stood in the stream. `more`: fields that this program does not know.
    Column("data", Text, nullable=False),
    Column("moves", Text, nullable=False),
    Column("checks", Text),
    Column("more", Text),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("organization_id", "number", "month"),
    # What is not about a call is rare, and looked for by its kind.
    Index(
        "entries_acts",
        "organization_id",
        "kind",
        "number",
        sqlite_where=text("call_id IS NULL"),
        postgresql_where=text("call_id IS NULL"),
    ),
    # With a rowid on SQLite: its rows are large, and in the tree of a primary key they would spill over.
    postgresql_partition_by="RANGE (organization_id, month)",
)

#: One row for each call, admitted or refused, as its entries leave it.
calls: Final = Table(
    "calls",
    metadata,
    Column("organization_id", Integer, nullable=False),
    # Of the time in the call's id; 0: the id tells none. It is known when a later entry comes.
    Column("month", Integer, nullable=False),
    Column("call_id", Text, nullable=False),
    # Of the entry that admitted or refused it: the order of calls, and the cursor of lists.
    Column("number", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    # reserved settled released expired receipted unreceipted, or refused.
    Column("state", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("user", Text),
    Column("key_id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("streamed", Boolean, nullable=False),
    Column("status", SmallInteger),
    # The budget that refused it.
    Column("refused_by", Text),
    Column("quoted_nano_usd", BigInteger),
    Column("settled_nano_usd", BigInteger),
    Column("receipted_nano_usd", BigInteger),
    # What counts: receipted, else settled, else what was held when it expired; null while reserved.
    Column("charged_nano_usd", BigInteger),
    # Disjoint parts of its usage (JSON), and their sums.
    Column("usage", Text),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("generation_id", Text),
    Column("tags", Text),
    Column("ended_ms", BigInteger),
    # Numbers of its entries, by commas: its whole life without another index on the journal.
    Column("entries", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", "month", "call_id"),
    Index("calls_by_number", "organization_id", "number"),
    Index("calls_by_team", "organization_id", "team", "number"),
    Index("calls_by_model", "organization_id", "model", "number"),
    # The ordinary states are found on any page; the others are what people look for.
    Index(
        "calls_by_state",
        "organization_id",
        "state",
        "number",
        sqlite_where=text("state NOT IN ('settled', 'receipted')"),
        postgresql_where=text("state NOT IN ('settled', 'receipted')"),
    ),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (organization_id, month)",
)

#: What was spent on each model, by the day (UTC, days since 1970) on which the calls came in.
spend_days: Final = Table(
    "spend_days",
    metadata,
    Column("organization_id", Integer, nullable=False),
    Column("day", Integer, nullable=False),
    Column("team", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("receipted", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("settled_nano_usd", BigInteger, nullable=False),
    Column("receipted_nano_usd", BigInteger, nullable=False),
    Column("charged_nano_usd", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "day", "team", "provider", "model"),
    sqlite_with_rowid=False,
)

#: The same by who spent it.
spend_keys: Final = Table(
    "spend_keys",
    metadata,
    Column("organization_id", Integer, nullable=False),
    Column("day", Integer, nullable=False),
    Column("team", Text, nullable=False),
    # Empty: nobody was named.
    Column("user", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("charged_nano_usd", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "day", "team", "user", "key_id"),
    sqlite_with_rowid=False,
)

#: How each counter stood after its last entry, in the counter's unit, and all that was booked on it:
#: the same as long as Redis keeps it, and what a rebuild starts from when it does not.
counters: Final = Table(
    "counters",
    metadata,
    Column("organization_id", Integer, nullable=False),
    # As in the ledger: budget, unit, subject and window (`policies.ledger.keys.counter_name`).
    Column("counter", BYTEWISE, nullable=False),
    Column("unit", Text, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("overrun", BigInteger, nullable=False),
    # Every change of `spent` added up, without what a rebuild put back.
    Column("booked", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "counter"),
    sqlite_with_rowid=False,
)

#: What was booked on a counter in each hour (since 1970, UTC): how its budget burns down.
counter_hours: Final = Table(
    "counter_hours",
    metadata,
    Column("organization_id", Integer, nullable=False),
    Column("counter", BYTEWISE, nullable=False),
    Column("hour", Integer, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "counter", "hour"),
    sqlite_with_rowid=False,
)

#: Who spent what of a counter, on which model.
counter_spenders: Final = Table(
    "counter_spenders",
    metadata,
    Column("organization_id", Integer, nullable=False),
    Column("counter", BYTEWISE, nullable=False),
    Column("team", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "counter", "team", "user", "key_id", "model"),
    sqlite_with_rowid=False,
)

#: Signed heads: whoever holds one can tell whether anything before it was changed.
checkpoints: Final = Table(
    "checkpoints",
    metadata,
    Column("organization_id", Integer, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    PrimaryKeyConstraint("organization_id", "number"),
)

#: Public halves of the keys that sign checkpoints.
signing_keys: Final = Table(
    "signing_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)
