"""Every provider is one, and what runs out has few names."""

from __future__ import annotations

import pytest
from yarl import URL

from proxy.providers.catalog import KINDS
from proxy.providers.interface import Exhausted, Provider, Target
from tests.proxy.providers.configured import Configured


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_answers_every_question(kind: str) -> None:
    provider: Provider = KINDS[kind]("mine", Configured(kind=kind))

    labels = {
        provider.is_quota_refusal(status, body)
        for status in (200, 400, 402, 429, 500)
        for body in (b"", b"quote_exceeded", b"spend_limit", b"api key", b"\xff\x00")
    }

    assert labels <= {None, *Exhausted}
    assert isinstance(provider.supports_usage_option, bool)


def test_a_target_shows_where_it_goes_and_no_key() -> None:
    target = Target(
        method="GET", url=URL("https://provider.example/x"), headers=(("Authorization", "sk-own"),)
    )

    assert repr(target) == "Target(GET https://provider.example/x)"
