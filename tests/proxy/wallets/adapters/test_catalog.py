"""Which kinds of providers report quotas."""

from __future__ import annotations

import pytest

from proxy.wallets.adapters.catalog import KINDS, TELLS_RATE_ALONE, build_wallet
from tests.proxy.wallets.documents import settings


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_kinds_that_report_quotas(kind: str) -> None:
    adapter = build_wallet(settings(kind, api_key="a", management_key="b", billing_key="c"))

    assert adapter is not None
    assert adapter.targets()


@pytest.mark.parametrize("kind", ["openai", "anthropic", "google"])
def test_kinds_that_do_not(kind: str) -> None:
    assert build_wallet(settings(kind)) is None


def test_a_request_for_a_rate_alone_is_one_that_somebody_sends() -> None:
    adapter = build_wallet(settings("agipower", management_key="b"))

    assert adapter is not None
    assert set(TELLS_RATE_ALONE) <= dict(adapter.targets()).keys()
