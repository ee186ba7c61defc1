"""Published prices, held against their publisher's own arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Final

import pytest
from genai_prices.data import providers
from genai_prices.types import (
    ClauseContains,
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)
from genai_prices.types import Tier as PublishedTier
from genai_prices.types import Usage as PublishedUsage

from policies.money import Money
from policies.pricing import Price
from policies.usage import Usage
from proxy.prices.published import SOURCE, Published, PublishedPrices, compiled

AT: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AT_MS: Final = int(AT.timestamp() * 1000)

#: What the usage does not tell apart, or what depends on the hour: the dearest counts there.
_APART: Final = ("output_image_mtok", "output_video_mtok", "audio_hours", "input_audio_hours")


def _comparable() -> Iterator[tuple[Provider, ModelInfo]]:
    for provider in providers:
        for info in provider.models:
            by_hour = isinstance(info.prices, list) and any(
                isinstance(conditional.constraint, TimeOfDateConstraint)
                for conditional in info.prices
            )
            stated = vars(info.get_prices(AT))
            if "input_mtok" in stated and not by_hour and not any(key in stated for key in _APART):
                yield provider, info


SAMPLE: Final = Random(7).sample(list(_comparable()), 60) + [
    (provider, info)
    for provider, info in _comparable()
    if provider.id in {"openai", "anthropic", "google"} and info.price_variants
]


@pytest.mark.parametrize(
    ("provider", "info"), SAMPLE, ids=[f"{number}" for number in range(len(SAMPLE))]
)
def test_costs_agree_with_the_publishers_own_arithmetic(
    provider: Provider, info: ModelInfo
) -> None:
    price = compiled(info.id, info, AT)
    assert price is not None
    stated = vars(info.get_prices(AT))
    random = Random(info.id)

    for total in (900, 90_000, 199_999, 200_000, 200_001, 272_000, 272_001, 900_000):
        usage = _usage(random, total, audio="input_audio_mtok" in stated)
        if "output_mtok" not in stated:
            usage = Usage(input_tokens=total)
        for key, word in (("", ""), *_variants(info)):
            context = {key: word} if key else None
            expected = info.calc_price(
                _published(usage), provider, genai_request_timestamp=AT, price_context=context
            ).total_price
            cost = price.cost(usage, word or None)
            assert isinstance(cost, Money)
            exact = Fraction(expected) * 10**9
            # The publisher divides `Decimal`s of 28 digits; that error is far below a nano.
            assert exact - Fraction(1, 1_000) <= cost.nano_usd < exact + 1


def test_a_model_is_found_at_its_kind_of_provider() -> None:
    book = PublishedPrices()

    found = book.find("openai", ("nonsense", "gpt-4o-2024-05-13"), AT_MS)

    assert found is not None
    assert found.price.source == SOURCE
    assert found.price.tiers[0].rates.input == 5_000_000
    assert found.price.context_window == 128_000
    assert found.model == "gpt-4o-2024-05-13"
    assert book.find("openai", ("nonsense",), AT_MS) is None


@pytest.mark.parametrize("kind", ["agipower", "vercel"])
@pytest.mark.parametrize(
    "name", ["openai/gpt-4o", "gpt-4o", "mistralai/mistral-large-latest", "xai/grok-4"]
)
def test_a_reseller_passes_on_the_makers_price(kind: str, name: str) -> None:
    assert PublishedPrices().find(kind, (name,), AT_MS) is not None


@pytest.mark.parametrize("name", ["acme/gpt-4o", "no-such-model", "acme/"])
def test_a_maker_that_is_not_known_has_no_price(name: str) -> None:
    assert PublishedPrices().find("agipower", (name,), AT_MS) is None


def test_venice_adds_to_what_others_publish() -> None:
    assert PublishedPrices().find("venice", ("claude-opus-5-5",), AT_MS) is None


def test_an_announced_price_counts_from_its_day_on() -> None:
    later = ConditionalPrice(
        StartDateConstraint(date(2026, 12, 1)), prices=ModelPrice(input_mtok=Decimal(2))
    )
    info = _info([ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(1))), later])
    december_ms = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp() * 1000)

    now, then = _found(info, AT_MS), _found(info, december_ms)

    assert (now.price.tiers[0].rates.input, now.until_ms) == (1_000_000, december_ms)
    assert (then.price.tiers[0].rates.input, then.until_ms) == (2_000_000, None)


def test_an_announced_service_tier_counts_from_its_day_on() -> None:
    variant = PriceVariant(
        {"service_tier": "priority"},
        ModelPrice(input_mtok=Decimal(3)),
        StartDateConstraint(date(2026, 12, 1)),
    )
    info = _info(ModelPrice(input_mtok=Decimal(1)), variant)

    assert _found(info, AT_MS).price.service_tiers == {}
    assert _found(info, AT_MS).until_ms == int(datetime(2026, 12, 1, tzinfo=UTC).timestamp() * 1000)


def test_no_discount_is_given_by_the_hour() -> None:
    night = TimeOfDateConstraint(time(0, tzinfo=UTC), time(6, tzinfo=UTC))
    cheap = ConditionalPrice(night, prices=ModelPrice(input_mtok=Decimal(1)))
    day = ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(4)))
    midnight_ms = int(datetime(2026, 11, 23, 1, tzinfo=UTC).timestamp() * 1000)

    assert _found(_info([day, cheap]), midnight_ms).price.tiers[0].rates.input == 4_000_000
    # With no price for the other hours, the first one counts, as the publisher has it.
    assert _found(_info([cheap]), midnight_ms).price.tiers[0].rates.input == 1_000_000


def test_a_service_tier_changes_only_what_it_names() -> None:
    first = PriceVariant({"service_tier": "priority"}, ModelPrice(input_mtok=Decimal(3)))
    second = PriceVariant({"service_tier": "priority"}, ModelPrice(input_mtok=Decimal(9)))
    other = PriceVariant({"route": "eu"}, ModelPrice(input_mtok=Decimal(9)))
    base = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2))

    price = _found(_info(base, first, second, other), AT_MS).price

    (tier,) = price.service_tiers["priority"]
    assert (tier.rates.input, tier.rates.output) == (3_000_000, 2_000_000)
    assert list(price.service_tiers) == ["priority"]


def test_images_that_a_model_makes_count_as_its_output() -> None:
    base = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2), output_image_mtok=Decimal(30))

    assert _found(_info(base), AT_MS).price.tiers[0].rates.output == 30_000_000


def test_fees_by_the_thousand_are_fees_by_the_piece() -> None:
    tiered = TieredPrices(Decimal(10), [PublishedTier(100, Decimal(14))])
    base = ModelPrice(
        input_mtok=Decimal(1),
        web_searches_kcount=tiered,
        requests_kcount=Decimal(5),
        storage_searches_kcount=Decimal("2.5"),
    )

    price = _found(_info(base), AT_MS).price

    assert price.tiers[0].rates.web_search_nano == 14_000_000
    assert price.tiers[0].rates.call_nano == 5_000_000
    assert price.tool_fees == {"file_search": 2_500_000}
    assert not price.output_priced


@pytest.mark.parametrize(
    "prices", [ModelPrice(audio_hours=Decimal(1)), ModelPrice(input_mtok=Decimal(-1))]
)
def test_what_is_not_priced_by_tokens_has_no_price(prices: ModelPrice) -> None:
    assert _provider(_info(prices)).find("openai", ("m",), AT_MS) is None


def _info(prices: ModelPrice | list[ConditionalPrice], *variants: PriceVariant) -> ModelInfo:
    return ModelInfo(
        id="m", match=ClauseEquals("m"), prices=prices, price_variants=list(variants) or None
    )


def _provider(info: ModelInfo) -> PublishedPrices:
    return PublishedPrices(
        [
            Provider(id="other", name="Other", api_pattern="x"),
            Provider(
                id="openai",
                name="OpenAI",
                api_pattern="x",
                model_match=ClauseContains("m"),
                models=[info],
            ),
        ]
    )


def _found(info: ModelInfo, now_ms: int) -> Published:
    found = _provider(info).find("openai", ("m",), now_ms)
    assert found is not None
    assert isinstance(found.price, Price)
    return found


def _variants(info: ModelInfo) -> list[tuple[str, str]]:
    """Return the service tiers that are in force, each named by one key."""
    found = []
    for variant in info.price_variants or ():
        ((key, word), *others) = variant.when.items()
        in_force = variant.constraint is None or variant.constraint.active(AT)
        if not others and in_force and key in {"service_tier", "speed", "processing"}:
            found.append((key, word))
    return found


def _usage(random: Random, total: int, *, audio: bool) -> Usage:
    """Return a usage with this much input, split at random."""
    cuts = sorted(random.randrange(total + 1) for _ in range(4))
    parts = [end - start for start, end in zip([0, *cuts], [*cuts, total], strict=True)]
    output = random.randrange(60_000)
    return Usage(
        input_tokens=parts[0] + (0 if audio else parts[4]),
        cache_read_tokens=parts[1],
        cache_write_5m_tokens=parts[2],
        cache_write_1h_tokens=parts[3],
        audio_input_tokens=parts[4] if audio else 0,
        output_tokens=output,
        reasoning_tokens=random.randrange(output + 1),
    )


def _published(usage: Usage) -> PublishedUsage:
    """Return the same usage as the publisher counts it: totals that include their parts."""
    audio = {"input_audio_tokens": usage.audio_input_tokens, "cache_audio_read_tokens": 0}
    return PublishedUsage(
        input_tokens=usage.total_input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_tokens=usage.output_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        **(audio if usage.audio_input_tokens else {}),
    )
