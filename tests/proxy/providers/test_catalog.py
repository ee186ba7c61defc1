"""Which class serves which kind."""

from __future__ import annotations

from typing import get_args

import pytest

from proxy.providers.catalog import KINDS, build_provider
from proxy.settings import BASE_URLS, ProviderKind, ProviderSettings
from tests.proxy.providers.configured import Configured, address


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_built_under_the_name_it_is_given(kind: str) -> None:
    provider = build_provider("mine", Configured(kind=kind))

    assert (provider.name, provider.kind) == ("mine", kind)


def test_every_kind_that_can_be_configured_can_be_built() -> None:
    assert set(KINDS) == set(get_args(ProviderKind))


def test_a_configuration_as_it_is_read_will_do() -> None:
    settings = ProviderSettings(kind="openai", base_url=BASE_URLS["openai"], api_key="sk-own")

    provider = build_provider("openai", settings)

    assert address(provider, "GET", "/v1/models") == "GET https://api.openai.com/v1/models"


def test_another_kind_is_a_mistake_that_names_those_that_are() -> None:
    with pytest.raises(ValueError, match="use agipower, venice"):
        build_provider("mine", Configured(kind="azure"))
