"""The ledger as commands reach it."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.errors import LedgerUnavailable
from proxy.cli.configuration import Configuration, configured
from proxy.cli.ledger_access import LedgerAccess, ledger_url, with_ledger


async def _answer(access: LedgerAccess) -> bytes:
    reply: bytes = await access.commands.execute("PING")
    return reply


def test_work_gets_a_ledger_that_answers(configuration: Configuration) -> None:
    assert with_ledger(configuration, _answer) == b"PONG"


def test_the_embedded_ledger_is_taken_when_none_is_named(folder: Path) -> None:
    text = (folder / "bursar.yaml").read_text()
    (folder / "bursar.yaml").write_text(text.partition("ledger:")[0])
    configuration = configured(None)

    assert with_ledger(configuration, _answer) == b"PONG"

    with ledger_url(configuration.settings) as url:
        assert url == f"unix://{folder}/var/redis/redis.sock"


def test_a_ledger_that_is_away_is_a_failure_and_no_wait(folder: Path) -> None:
    text = (folder / "bursar.yaml").read_text().partition("ledger:")[0]
    (folder / "bursar.yaml").write_text(f"{text}ledger: {{url: 'redis://127.0.0.1:9'}}\n")

    with pytest.raises(LedgerUnavailable):
        with_ledger(configured(None), _answer)
