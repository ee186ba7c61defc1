"""Which providers tell what they billed for a call."""

from __future__ import annotations

import pytest

from proxy.providers.catalog import KINDS
from proxy.receipts.adapters.agipower import AgiPower
from proxy.receipts.adapters.catalog import RECEIPTS, build_receipts
from proxy.receipts.adapters.openrouter import OpenRouter
from proxy.receipts.adapters.venice import Venice
from proxy.receipts.adapters.vercel import Vercel
from proxy.receipts.receipt import ReceiptAdapter
from tests.proxy.receipts.adapters.configured import Configured


@pytest.mark.parametrize(
    ("kind", "adapter"),
    [
        ("agipower", AgiPower),
        ("openrouter", OpenRouter),
        ("venice", Venice),
        ("vercel", Vercel),
    ],
)
def test_each_kind_has_its_adapter(kind: str, adapter: type[ReceiptAdapter]) -> None:
    assert type(build_receipts(Configured(kind=kind))) is adapter


@pytest.mark.parametrize("kind", ["openai", "anthropic", "google", "unheard"])
def test_the_others_tell_nothing(kind: str) -> None:
    assert build_receipts(Configured(kind=kind)) is None


def test_every_adapter_is_of_a_provider_that_there_is() -> None:
    assert RECEIPTS.keys() <= KINDS.keys()


def test_a_path_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(ValueError, match="path 'generation'"):
        build_receipts(Configured(kind="agipower", paths={"generation": "/bill"}))
