"""The first form of the archive: the journal, what is derived from it, and what proves it."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

# Rows of these are evidence: whoever can write to the database cannot quietly change them.
_EVIDENCE: Final = ("entries", "checkpoints", "signing_keys")
_REFUSAL: Final = "the archive is append-only"
_MONTHLY: Final = "RANGE (organization_id, month)"
_RARE: Final = "state NOT IN ('settled', 'receipted')"
_ACTS: Final = "call_id IS NULL"


def upgrade() -> None:
    """Make the tables, and have the database refuse what would rewrite history."""
    _organizations()
    _entries()
    _calls()
    _spending()
    _counters()
    _proof()
    if op.get_context().dialect.name == "postgresql":
        _refuse_on_postgres()
    else:
        _refuse_on_sqlite()


def _whole(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _bytewise(name: str) -> sa.Column[str]:
    # What begins with a text is found by the key, whatever language the server compares in.
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.Column(name, kind, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _organizations() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        _whole("number"),
        _bytes("hash"),
        _text("stream_id"),
        _number("month"),
        _whole("first_number"),
        _bytes("first_hash"),
    )


def _entries() -> None:
    op.create_table(
        "entries",
        _number("organization_id"),
        _whole("number"),
        _number("month"),
        _text("stream_id"),
        _whole("at_ms"),
        sa.Column("version", sa.SmallInteger, nullable=False),
        _text("kind"),
        _text("call_id", nullable=True),
        _text("data"),
        _text("moves"),
        _text("checks", nullable=True),
        _text("more", nullable=True),
        _bytes("hash"),
        sa.PrimaryKeyConstraint("organization_id", "number", "month"),
        postgresql_partition_by=_MONTHLY,
    )
    op.create_index(
        "entries_acts",
        "entries",
        ["organization_id", "kind", "number"],
        sqlite_where=sa.text(_ACTS),
        postgresql_where=sa.text(_ACTS),
    )


def _calls() -> None:
    op.create_table(
        "calls",
        _number("organization_id"),
        _number("month"),
        _text("call_id"),
        _whole("number"),
        _whole("at_ms"),
        _text("state"),
        _text("team"),
        _text("user", nullable=True),
        _text("key_id"),
        _text("provider"),
        _text("model"),
        _text("dialect"),
        sa.Column("streamed", sa.Boolean, nullable=False),
        sa.Column("status", sa.SmallInteger),
        _text("refused_by", nullable=True),
        _whole("quoted_nano_usd", nullable=True),
        _whole("settled_nano_usd", nullable=True),
        _whole("receipted_nano_usd", nullable=True),
        _whole("charged_nano_usd", nullable=True),
        _text("usage", nullable=True),
        _whole("input_tokens", nullable=True),
        _whole("output_tokens", nullable=True),
        _text("generation_id", nullable=True),
        _text("tags", nullable=True),
        _whole("ended_ms", nullable=True),
        _text("entries"),
        sa.PrimaryKeyConstraint("organization_id", "month", "call_id"),
        sqlite_with_rowid=False,
        postgresql_partition_by=_MONTHLY,
    )
    op.create_index("calls_by_number", "calls", ["organization_id", "number"])
    op.create_index("calls_by_team", "calls", ["organization_id", "team", "number"])
    op.create_index("calls_by_model", "calls", ["organization_id", "model", "number"])
    op.create_index(
        "calls_by_state",
        "calls",
        ["organization_id", "state", "number"],
        sqlite_where=sa.text(_RARE),
        postgresql_where=sa.text(_RARE),
    )


def _spending() -> None:
    op.create_table(
        "spend_days",
        _number("organization_id"),
        _number("day"),
        _text("team"),
        _text("provider"),
        _text("model"),
        _whole("calls"),
        _whole("refused"),
        _whole("receipted"),
        _whole("input_tokens"),
        _whole("output_tokens"),
        _whole("settled_nano_usd"),
        _whole("receipted_nano_usd"),
        _whole("charged_nano_usd"),
        sa.PrimaryKeyConstraint("organization_id", "day", "team", "provider", "model"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spend_keys",
        _number("organization_id"),
        _number("day"),
        _text("team"),
        _text("user"),
        _text("key_id"),
        _whole("calls"),
        _whole("refused"),
        _whole("charged_nano_usd"),
        sa.PrimaryKeyConstraint("organization_id", "day", "team", "user", "key_id"),
        sqlite_with_rowid=False,
    )


def _counters() -> None:
    op.create_table(
        "counters",
        _number("organization_id"),
        _bytewise("counter"),
        _text("unit"),
        _whole("spent"),
        _whole("reserved"),
        _whole("overrun"),
        _whole("booked"),
        _whole("number"),
        _whole("at_ms"),
        sa.PrimaryKeyConstraint("organization_id", "counter"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "counter_hours",
        _number("organization_id"),
        _bytewise("counter"),
        _number("hour"),
        _whole("spent"),
        _whole("refused"),
        sa.PrimaryKeyConstraint("organization_id", "counter", "hour"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "counter_spenders",
        _number("organization_id"),
        _bytewise("counter"),
        _text("team"),
        _text("user"),
        _text("key_id"),
        _text("model"),
        _whole("calls"),
        _whole("refused"),
        _whole("spent"),
        sa.PrimaryKeyConstraint("organization_id", "counter", "team", "user", "key_id", "model"),
        sqlite_with_rowid=False,
    )


def _proof() -> None:
    op.create_table(
        "checkpoints",
        _number("organization_id"),
        _whole("number"),
        _whole("at_ms"),
        _bytes("hash"),
        _text("key_id"),
        _bytes("signature"),
        sa.PrimaryKeyConstraint("organization_id", "number"),
    )
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.Text, primary_key=True),
        _bytes("public_key"),
        _whole("created_ms"),
    )


def _refuse_on_sqlite() -> None:
    for table in _EVIDENCE:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
            )
    # `INSERT OR REPLACE` deletes without a DELETE: a row that is there is refused before it.
    keys = {
        "entries": "organization_id = NEW.organization_id AND number = NEW.number",
        "checkpoints": "organization_id = NEW.organization_id AND number = NEW.number",
        "signing_keys": "id = NEW.id",
    }
    for table, same in keys.items():
        there = sa.select(sa.literal(1)).select_from(sa.table(table)).where(sa.text(same))
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN EXISTS ({there.compile(compile_kwargs={'literal_binds': True})}) "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )


def _refuse_on_postgres() -> None:
    op.execute(
        "CREATE FUNCTION bursar_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    )
    for table in _EVIDENCE:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION bursar_append_only()"
        )
        # A partition is emptied by its own name too: it gets the same when it is made.
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION bursar_append_only()"
        )
