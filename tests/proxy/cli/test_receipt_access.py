"""The work on receipts for a process that serves no calls."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from policies.rulebook import Rulebook
from proxy.cli.configuration import configured
from proxy.cli.ledger_access import open_ledger
from proxy.cli.receipt_access import receipt_access
from proxy.settings import Settings
from proxy.telemetry.logs import make_log
from proxy.telemetry.metrics import Metrics
from tests.doubles.fake_clock import FakeClock
from tests.proxy.cli.conftest import write_folder


@pytest.fixture
def settings(tmp_path: Path, organization: str, provider_url: str) -> Settings:
    folder = write_folder(tmp_path, organization, provider_url)
    return configured(folder / "bursar.yaml").settings


def by_subscription(settings: Settings, **more: object) -> Settings:
    provider = settings.providers["sim"].model_copy(update={"api_key": "sk-ss-v1-x", **more})
    return settings.model_copy(update={"providers": {"sim": provider}})


async def test_it_stands_on_the_configured_ledger(
    settings: Settings, redis_url: str, organization: str
) -> None:
    log, rulebook = make_log(sys.stderr), Rulebook(organization=organization)
    async with (
        open_ledger(redis_url, settings, organization) as access,
        receipt_access(settings, access, lambda: rulebook, Metrics(FakeClock()), log) as receipts,
    ):
        (row,) = await receipts.status()
        results = await receipts.run_due(lambda _: None)

    assert (row.provider, row.never, row.waiting) == ("sim", None, 0)
    assert results == {}


async def test_calls_of_a_subscription_are_metered_by_lists_that_are_read_first(
    settings: Settings, redis_url: str, organization: str
) -> None:
    settings = by_subscription(settings)
    log, rulebook = make_log(sys.stderr), Rulebook(organization=organization)
    async with (
        open_ledger(redis_url, settings, organization) as access,
        receipt_access(settings, access, lambda: rulebook, Metrics(FakeClock()), log) as receipts,
    ):
        (row,) = await receipts.status()
        await receipts.run_due(lambda _: None)
        read = await access.commands.execute("HLEN", access.ledger.keys.topic("prices"))

    assert row.never is not None
    assert "subscription key" in row.never
    assert read > 0


async def test_a_path_without_a_place_for_the_id_is_an_error(
    settings: Settings, redis_url: str, organization: str
) -> None:
    settings = by_subscription(settings, paths={"generation": "/generation"})
    log, rulebook = make_log(sys.stderr), Rulebook(organization=organization)
    async with open_ledger(redis_url, settings, organization) as access:
        context = receipt_access(settings, access, lambda: rulebook, Metrics(FakeClock()), log)

        with pytest.raises(ValueError, match="generation"):
            await context.__aenter__()
