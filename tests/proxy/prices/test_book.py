"""The prices in force, in the order of their sources, and what changes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pytest
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from policies.clock import utc
from policies.money import Money
from policies.usage import Usage
from proxy.prices import book as books
from proxy.prices.book import PriceBook
from proxy.prices.figures import NotAPrice
from proxy.prices.published import PublishedPrices
from proxy.simulator.model_lists import model_list
from proxy.simulator.models import MODELS
from proxy.simulator.paths import Flavour
from proxy.simulator.prices import list_price_pico_usd
from proxy.simulator.usage import Usage as SimulatedUsage
from tests.doubles.fake_clock import FakeClock

KINDS: Final = {"agipower": "agipower", "venice": "venice", "other": "openai"}


def test_configuration_goes_before_the_list_and_the_list_before_published_prices() -> None:
    book = _book(overrides={"openai/gpt-4o": {"input": 1, "output": 1}})
    assert _source(book, "agipower", "openai/gpt-4o-mini") == "genai-prices"

    book.refresh("agipower", "agipower", _list("openai/gpt-4o-mini", 9))

    assert _source(book, "agipower", "openai/gpt-4o") == "configuration"
    assert _source(book, "agipower", "openai/gpt-4o-mini") == "agipower list"
    assert _source(book, "other", "gpt-4o-mini") == "genai-prices"


@pytest.mark.parametrize(
    ("provider", "model"),
    [("other", "no-such-model"), ("nobody", "gpt-4o"), ("venice", "gpt-4o"), ("other", "g" * 257)],
)
def test_a_model_that_nobody_prices_has_no_price(provider: str, model: str) -> None:
    book = _book()

    assert book.lookup(provider, model) is None
    assert book.lookup(provider, model) is None


def test_a_configured_price_takes_limits_from_the_list() -> None:
    book = _book(overrides={"acme/*": {"input": 1, "output": 1}, "gpt-4o": {"input": 1}})
    book.refresh("agipower", "agipower", _list("acme/mini", 9, context_length=128_000))

    priced = book.lookup("agipower", "acme/mini")
    published = book.lookup("other", "gpt-4o")
    alone = book.lookup("agipower", "acme/maxi")

    assert priced is not None
    assert (priced.context_window, priced.tiers[0].rates.input) == (128_000, 1_000_000)
    assert published is not None
    assert published.context_window == 128_000
    assert alone is not None
    assert alone.context_window is None


def test_a_limit_that_is_configured_stays() -> None:
    book = _book(overrides={"acme/mini": {"input": 1, "context_window": 5, "max_output_tokens": 6}})
    book.refresh("agipower", "agipower", _list("acme/mini", 9, context_length=128_000))

    price = book.lookup("agipower", "acme/mini")

    assert price is not None
    assert (price.context_window, price.max_output_tokens) == (5, 6)


@pytest.mark.parametrize(
    "name", ["acme/mini-2.5", "acme/mini-2.5:upstream", "ACME/mini-2-5", "mini-2.5", "mini_2_5"]
)
def test_one_model_has_many_spellings(name: str) -> None:
    book = _book()
    book.refresh("agipower", "agipower", _list("acme/mini-2.5", 9))

    assert _source(book, "agipower", name) == "agipower list"


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(
    "spelling",
    [
        "Claude-Opus_4.6",
        "claude-opus-4-6",
        "anthropic/claude-opus-4.6",
        "anthropic/claude-opus-4.6:amazon-bedrock",
        "publishers/anthropic/models/claude-opus-4.6",
    ],
)
def test_all_spellings_of_a_model_have_one_name(*, spelling: str, listed: bool) -> None:
    book = _book()
    if listed:
        book.refresh("agipower", "agipower", _list("anthropic/claude-opus-4.6", 9))

    assert book.lookup("agipower", spelling) is not None
    expected = "anthropic/claude-opus-4.6" if listed else "claude-opus-4-6"
    assert book.name_of("agipower", spelling) == expected


@st.composite
def spelled(draw: DrawFn, names: st.SearchStrategy[str]) -> tuple[str, str]:
    """A name, and another spelling of it."""
    name = draw(names)
    owner, slash, model = name.rpartition("/")
    other = model if draw(st.booleans()) else owner + slash + model
    signs = [draw(st.sampled_from("._-")) if sign in "._-" else sign for sign in other]
    other = "".join(sign.upper() if draw(st.booleans()) else sign for sign in signs)
    return name, other + draw(st.sampled_from(("", ":upstream")))


LISTED: Final = ("anthropic/claude-opus-4.6", "anthropic/claude-opus-4", "x-ai/grok_4", "plain")
PUBLISHED: Final = ("anthropic/claude-opus-4.6", "openai/gpt-4o-mini", "openai/gpt-4.1", "gpt-5.1")


@given(spelled(st.sampled_from(LISTED)))
def test_whatever_finds_a_listed_price_has_the_lists_name(pair: tuple[str, str]) -> None:
    book = _book()
    for usd, model in enumerate(LISTED, start=1):
        book.refresh("agipower", "agipower", _list(model, usd))
    name, spelling = pair

    price = book.lookup("agipower", spelling)

    assert price == book.lookup("agipower", name) is not None
    assert book.name_of("agipower", spelling) == name


@given(spelled(st.sampled_from(PUBLISHED)))
def test_whatever_finds_the_same_published_price_has_the_same_name(pair: tuple[str, str]) -> None:
    book = _book()
    one, other = (book.lookup("agipower", spelling) for spelling in pair)

    assert one is not None
    if other is not None and other.version == one.version:
        assert book.name_of("agipower", pair[1]) == book.name_of("agipower", pair[0])


@pytest.mark.parametrize(
    ("provider", "spelling", "name"),
    [
        ("venice", "default", "glm-5"),
        ("venice", "venice-glm.5:enable_web_search=on", "glm-5"),
        ("venice", "venice-unheard-of:x=1", "venice-unheard-of"),
        ("agipower", "openai/gpt-4o:azure", "gpt-4o"),
        ("agipower", "acme/mini:upstream", "acme/mini"),
        ("agipower", "acme/maxi:upstream", "acme/maxi"),
        ("agipower", "nobodys:upstream", "nobodys"),
        ("other", "ft:gpt-unheard-of:acme", "ft:gpt-unheard-of:acme"),
        ("nobody", "gpt-4o", "gpt-4o"),
        ("other", "g" * 257, "g" * 257),
    ],
)
def test_a_model_is_named_by_whoever_prices_it(provider: str, spelling: str, name: str) -> None:
    priced = {"input": 1, "output": 1}
    overrides = {"acme/mini": priced, "acme/*": priced, "openai/gpt-4o": priced}
    book = _book(overrides=overrides)
    book.refresh("venice", "venice", _venice(traits=["default"]))

    assert book.name_of(provider, spelling) == name
    assert book.name_of(provider, spelling) == name


def test_a_configured_price_holds_however_the_model_is_written() -> None:
    book = _book(overrides={"acme/mini-2.5": {"input": 1, "output": 1}})
    book.refresh("agipower", "agipower", _list("acme/mini-2.5", 9))

    for name in ("acme/mini-2.5", "ACME/mini_2-5", "mini-2.5", "acme/mini-2.5:upstream"):
        assert _source(book, "agipower", name) == "configuration"


def test_a_name_follows_the_list() -> None:
    book = _book()
    assert book.name_of("agipower", "gpt-4o") == "gpt-4o"

    book.refresh("agipower", "agipower", _list("openai/gpt-4o", 9))

    assert book.name_of("agipower", "gpt-4o") == "openai/gpt-4o"


@pytest.mark.parametrize("known", [True, False])
def test_a_fee_that_nothing_counts_takes_a_models_price_away(*, known: bool) -> None:
    book = _book()
    if known:
        book.refresh("agipower", "agipower", _list("openai/gpt-4o", 9))
    before = book.lookup("agipower", "openai/gpt-4o")
    assert before is not None

    (refused,) = book.refresh("agipower", "agipower", _surcharged("openai/gpt-4o"))
    again = book.refresh("agipower", "agipower", _surcharged("openai/gpt-4o"))

    assert (refused.old, refused.new) == (before if known else None, None)
    assert refused.refused == "surcharge: what is charged for 'perCount' is not counted"
    assert again == []
    for name in ("openai/gpt-4o", "GPT_4o", "openai/gpt-4o:azure"):
        assert book.lookup("agipower", name) is None
        assert book.name_of("agipower", name) == "openai/gpt-4o"


def test_a_price_comes_back_with_a_list_that_says_all() -> None:
    book = _book(overrides={"acme/maxi": {"input": 1, "output": 1}})
    book.refresh("agipower", "agipower", _surcharged("acme/mini"))
    book.refresh("agipower", "agipower", _surcharged("acme/maxi"))
    book.refresh("agipower", "agipower", _surcharged("bolt/mini"))

    assert _source(book, "agipower", "acme/maxi") == "configuration"
    book.refresh("agipower", "agipower", _list("acme/mini", 2))

    assert _source(book, "agipower", "acme/mini") == "agipower list"
    assert book.lookup("agipower", "bolt/mini") is None
    # Two owners have the name, and one of them no price: it names neither.
    assert book.lookup("agipower", "mini") is None


def test_an_alias_goes_with_its_models_price() -> None:
    book = _book()
    book.refresh("venice", "venice", _venice(traits=["default"]))

    book.refresh("venice", "agipower", _surcharged("glm-5"))

    assert book.lookup("venice", "default") is None


def test_a_bare_name_that_two_owners_share_is_no_name() -> None:
    book = _book()
    book.refresh("agipower", "agipower", _list("acme/mini", 9))
    book.refresh("agipower", "agipower", _list("bolt/mini", 9))

    assert book.lookup("agipower", "mini") is None


def test_venice_names_have_features_prefixes_and_traits() -> None:
    book = _book()
    book.refresh("venice", "venice", _venice(traits=["default"]))

    for name in ("glm-5", "glm-5:enable_web_search=on", "venice-glm.5", "default"):
        assert _source(book, "venice", name) == "venice list"


def test_a_refresh_tells_what_changed() -> None:
    book = _book()

    (first,) = book.refresh("agipower", "agipower", _list("acme/mini", 1))
    same = book.refresh("agipower", "agipower", _list("acme/mini", 1))
    (second,) = book.refresh("agipower", "agipower", _list("acme/mini", 2))

    assert (first.provider, first.model, first.source) == (
        "agipower",
        "acme/mini",
        "agipower list",
    )
    assert first.old is None
    assert same == []
    assert second.old == first.new
    assert second.new is not None
    assert second.new.tiers[0].rates.input == 2_000_000
    assert second.refused is None


def test_a_call_keeps_the_price_that_it_was_quoted_with() -> None:
    book = _book()
    book.refresh("agipower", "agipower", _list("acme/mini", 1))
    quoted = book.lookup("agipower", "acme/mini")

    book.refresh("agipower", "agipower", _list("acme/mini", 2))

    assert quoted is not None
    assert quoted.cost(Usage(input_tokens=1)) == Money(1_000)
    now = book.lookup("agipower", "acme/mini")
    assert now is not None
    assert now.cost(Usage(input_tokens=1)) == Money(2_000)


def test_a_bad_price_leaves_the_former_one_and_is_told_once() -> None:
    book = _book()
    book.refresh("agipower", "agipower", _list("acme/mini", 1))

    (refused,) = book.refresh("agipower", "agipower", _list("acme/mini", -1))
    again = book.refresh("agipower", "agipower", _list("acme/mini", -1))
    good = book.refresh("agipower", "agipower", _list("acme/mini", 1))
    (once_more,) = book.refresh("agipower", "agipower", _list("acme/mini", -1))

    assert refused.refused == "prompt: -1 is not a price"
    assert refused.old is refused.new is not None
    assert again == good == []
    assert once_more.refused == refused.refused
    assert _source(book, "agipower", "acme/mini") == "agipower list"


@pytest.mark.parametrize("kind", ["agipower", "venice"])
def test_a_page_that_is_no_list_changes_nothing(kind: str) -> None:
    book = _book()
    book.refresh("agipower", "agipower", _list("acme/mini", 1))

    (refused,) = book.refresh("agipower", kind, "<html>Bad gateway</html>")
    again = book.refresh("agipower", kind, "<html>Bad gateway</html>")
    book.refresh("agipower", "agipower", _list("acme/mini", 1))
    (later,) = book.refresh("agipower", kind, "<html>Bad gateway</html>")

    assert (refused.model, refused.old, refused.new) == ("*", None, None)
    assert refused.refused is not None
    assert again == []
    assert later.refused == refused.refused
    assert _source(book, "agipower", "acme/mini") == "agipower list"


def test_a_kind_without_a_list_is_told() -> None:
    (refused,) = _book().refresh("other", "openai", {"data": []})

    assert refused.refused == "providers of kind 'openai' have no list that can be read"


def test_a_model_that_left_the_list_keeps_its_price() -> None:
    book = _book()
    book.refresh("agipower", "agipower", _list("acme/mini", 1))

    book.refresh("agipower", "agipower", _list("acme/maxi", 1))

    assert _source(book, "agipower", "acme/mini") == "agipower list"


@pytest.mark.parametrize("vertex_first", [True, False])
def test_the_vertex_list_adds_what_the_other_does_not_say(*, vertex_first: bool) -> None:
    book = _book()
    chat = _list("google/gemini-2.5-pro", 1, context_length=1_048_576)
    row = {"name": "models/gemini-2.5-pro", "outputTokenLimit": 65_536}
    vertex = {"models": [{**row, "pricings": chat["data"][0]["pricings"]}]}

    for payload in (vertex, chat) if vertex_first else (chat, vertex):
        book.refresh("agipower", "agipower", payload)

    for name in ("google/gemini-2.5-pro", "gemini-2.5-pro"):
        price = book.lookup("agipower", name)
        assert price is not None
        assert (price.context_window, price.max_output_tokens) == (1_048_576, 65_536)
    assert book.refresh("agipower", "agipower", chat) == []
    assert book.refresh("agipower", "agipower", vertex) == []


def test_an_announced_price_comes_into_force_on_its_day(clock: FakeClock) -> None:
    tomorrow = utc(clock.now_ms() + 86_400_000).date()
    later = ConditionalPrice(
        StartDateConstraint(tomorrow), prices=ModelPrice(input_mtok=Decimal(2))
    )
    info = ModelInfo(
        id="m",
        match=ClauseEquals("m"),
        prices=[ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(1))), later],
    )
    published = PublishedPrices([Provider(id="openai", name="O", api_pattern="", models=[info])])
    book = PriceBook(kinds=KINDS, overrides={}, clock=clock, published=published)
    midnight = datetime.combine(tomorrow, datetime.min.time(), tzinfo=UTC)
    until_midnight_ms = int(midnight.timestamp() * 1000) - clock.now_ms()

    def dollars() -> int:
        price = book.lookup("other", "m")
        assert price is not None
        return price.tiers[0].rates.input // 1_000_000

    assert dollars() == 1
    clock.advance(until_midnight_ms - 1)
    assert dollars() == 1
    clock.advance(1)
    assert dollars() == 2


def test_a_credit_is_worth_what_the_provider_says() -> None:
    book = _book()
    book.refresh("agipower", "agipower", _list("acme/mini", 1))

    book.set_credit_rate("agipower", "flows", Decimal("0.03283"))
    book.set_credit_rate("agipower", "flows", Decimal("0.03283"))

    price = book.lookup("agipower", "acme/mini")
    assert price is not None
    assert price.credits(1_000_000_000) == {"flows": 30_459_945_173}
    assert book.lookup("agipower", "nothing") is None


@pytest.mark.parametrize("worth", ["0", "-1", "NaN"])
def test_a_credit_is_worth_something(worth: str) -> None:
    with pytest.raises(NotAPrice, match="no worth"):
        _book().set_credit_rate("agipower", "flows", Decimal(worth))


def test_what_callers_ask_for_is_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "CACHE_MAX", 2)
    book = _book()

    first = book.lookup("other", "gpt-4o")
    for name in ("a", "b", "c"):
        book.lookup("other", name)

    assert len(book._cache) == 2
    assert book.lookup("other", "gpt-4o") == first


def test_a_list_is_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "LISTED_MAX", 1)
    book = _book()
    book.refresh("venice", "venice", _venice(traits=["default"]))

    assert book.refresh("venice", "venice", _venice(traits=["fastest"], model="other")) == []
    assert book.refresh("venice", "venice", _venice(pricing={"input": 1}, model="a")) != []
    assert book.refresh("venice", "venice", _venice(pricing={"input": 1}, model="b")) == []
    assert book.lookup("venice", "fastest") is None
    book.refresh("agipower", "agipower", _surcharged("acme/mini"))
    book.refresh("agipower", "agipower", _surcharged("openai/gpt-4o"))
    assert len(book._listed["agipower"].uncounted) == 2


@pytest.mark.parametrize(
    ("provider", "flavour"), [("agipower", Flavour.AGIPOWER), ("venice", Flavour.VENICE)]
)
def test_the_simulators_own_arithmetic_agrees(provider: str, flavour: Flavour) -> None:
    book = _book()
    book.refresh(provider, provider, json.loads(model_list(flavour, "chat"), parse_float=Decimal))
    models = [
        model
        for model in MODELS
        if model.venice == (provider == "venice") and not model.unpriced and not model.embeddings
    ]

    for model in models:
        price = book.lookup(provider, model.id)
        assert price is not None
        assert price.source == f"{provider} list"
        for input_tokens in (100, 31_999, 32_000, 199_999, 200_000, 200_001, 300_000):
            for output_tokens in (0, 199, 200, 5_000):
                theirs = SimulatedUsage(
                    input=input_tokens - 50, cache_read=50, output=output_tokens
                )
                ours = Usage(
                    input_tokens=input_tokens - 50,
                    cache_read_tokens=50,
                    output_tokens=output_tokens,
                )
                pico = list_price_pico_usd(model.prices, theirs)
                assert price.cost(ours) == Money(-(-pico // 1_000))


def _book(overrides: dict[str, Any] | None = None) -> PriceBook:
    return PriceBook(kinds=KINDS, overrides=overrides or {}, clock=FakeClock())


def _source(book: PriceBook, provider: str, model: str) -> str | None:
    price = book.lookup(provider, model)
    return None if price is None else price.source.removesuffix(" 0.2.3")


def _list(model: str, usd: int, **row: object) -> dict[str, Any]:
    priced = {"value": usd, "unit": "perMTokens", "currency": "USD"}
    pricings = {"prompt": [priced], "completion": [priced]}
    return {"data": [{"id": model, "pricings": pricings, **row}]}


def _surcharged(model: str) -> dict[str, Any]:
    found = _list(model, 1)
    fee = {"value": 1, "unit": "perCount", "currency": "USD"}
    found["data"][0]["pricings"]["surcharge"] = [fee]
    return found


def _venice(
    *,
    traits: list[str] | None = None,
    pricing: object = None,
    model: str = "glm-5",
) -> dict[str, Any]:
    one = {"usd": 1, "diem": 1}
    spec = {"pricing": pricing or {"input": one, "output": one}, "traits": traits}
    return {"data": [{"id": model, "model_spec": spec}]}
