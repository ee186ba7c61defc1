"""The models that the simulated providers offer, and their prices."""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

import msgspec

from proxy.simulator.prices import MICRO_PER_DOLLAR, Bound, Prices, Tier


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a model list."""

    id: str
    name: str
    prices: Prices
    context: int = 400_000
    output: int = 64_000
    reasoning: bool = False
    #: The list names no price; calls are billed at `UNLISTED` all the same.
    unpriced: bool = False
    venice: bool = False
    embeddings: bool = False

    @property
    def owner(self) -> str:
        """The part of the id before the slash."""
        return self.id.partition("/")[0] if "/" in self.id else "venice"

    @property
    def bare(self) -> str:
        """The part of the id after the slash."""
        return self.id.rpartition("/")[2]


def _flat(usd: str) -> tuple[Tier, ...]:
    return (Tier(_micro(usd)),)


def _split(below: str, above: str, kilo_tokens: int) -> tuple[Tier, ...]:
    """Two tiers by prompt size; the boundary itself belongs to the dearer one."""
    return (
        Tier(_micro(below), Bound(gte=0, lt=kilo_tokens)),
        Tier(_micro(above), Bound(gte=kilo_tokens)),
    )


def _split_above(below: str, above: str, kilo_tokens: int) -> tuple[Tier, ...]:
    """Two tiers by prompt size; the boundary itself still has the cheaper one."""
    return (
        Tier(_micro(below), Bound(gte=0, lte=kilo_tokens)),
        Tier(_micro(above), Bound(gt=kilo_tokens)),
    )


def _micro(usd: str) -> int:
    return int(Decimal(usd) * MICRO_PER_DOLLAR)


def _prices(prompt: str, completion: str, read: str | None = None, **more: str) -> Prices:
    prices = {"prompt": _flat(prompt), "completion": _flat(completion)}
    if read is not None:
        prices["input_cache_read"] = _flat(read)
    return prices | {code: _flat(usd) for code, usd in more.items()}


def _claude(prompt: str, completion: str, read: str, write_5m: str, write_1h: str) -> Prices:
    return _prices(
        prompt,
        completion,
        read,
        input_cache_write_5_min=write_5m,
        input_cache_write_1_h=write_1h,
        web_search="0.01",
    )


_SONNET: Final[Prices] = {
    "prompt": _split("3", "6", 200),
    "completion": _split("15", "22.5", 200),
    "input_cache_read": _split("0.3", "0.6", 200),
    "input_cache_write_5_min": _split("3.75", "7.5", 200),
    "input_cache_write_1_h": _split("6", "12", 200),
    "web_search": _flat("0.01"),
}
_GEMINI_PRO: Final[Prices] = {
    "prompt": _split_above("1.25", "2.5", 200),
    "completion": _split_above("10", "15", 200),
    "input_cache_read": _split_above("0.125", "0.25", 200),
    "web_search": _flat("0.035"),
}
_DOUBAO: Final[Prices] = {
    "prompt": _split("0.11", "0.17", 32),
    "completion": (
        Tier(_micro("0.28"), Bound(gte=0, lt=32), Bound(gte=0, lt=0.2)),
        Tier(_micro("1.1"), Bound(gte=0, lt=32), Bound(gte=0.2)),
        Tier(_micro("2.2"), Bound(gte=32)),
    ),
    "input_cache_read": _flat("0.023"),
}
_GPT: Final = _prices("1.25", "10", "0.125", input_cache_write="1.5625", web_search="0.01")
#: Venice asks the same for a search whatever the model.
_VENICE_SEARCH: Final = "0.01"
_EXTENDED: Final[Prices] = {
    "web_search": _flat(_VENICE_SEARCH),
    "prompt": _split_above("1.56", "3.13", 272),
    "completion": _split_above("12.5", "18.75", 272),
    "input_cache_read": _split_above("0.16", "0.32", 272),
}
_VENICE_CLAUDE: Final = _prices(
    "6", "30", "0.6", input_cache_write="7.5", web_search=_VENICE_SEARCH
)

#: A model that no list has is answered all the same, and billed at this price.
UNLISTED: Final = _prices("1", "4", "0.1")

MODELS: Final[tuple[Model, ...]] = (
    Model(id="openai/gpt-5.6", name="OpenAI: GPT-5.6", prices=_GPT, reasoning=True),
    Model(
        id="openai/gpt-5.6-mini", name="OpenAI: GPT-5.6 mini", prices=_prices("0.25", "2", "0.025")
    ),
    Model(
        id="openai/gpt-4o",
        name="OpenAI: GPT-4o",
        prices=_prices("2.5", "10", "1.25"),
        context=128_000,
        output=16_384,
    ),
    Model(
        id="openai/gpt-4o-mini",
        name="OpenAI: GPT-4o mini",
        prices=_prices("0.15", "0.6", "0.075"),
        context=128_000,
        output=16_384,
    ),
    Model(
        id="anthropic/claude-opus-5.5",
        name="Anthropic: Claude Opus 5.5",
        prices=_claude("5", "25", "0.5", "6.25", "10"),
        context=1_000_000,
        reasoning=True,
    ),
    Model(
        id="anthropic/claude-sonnet-4.6",
        name="Anthropic: Claude Sonnet 4.6",
        prices=_SONNET,
        context=1_000_000,
        reasoning=True,
    ),
    Model(
        id="anthropic/claude-haiku-4.5",
        name="Anthropic: Claude Haiku 4.5",
        prices=_claude("1", "5", "0.1", "1.25", "2"),
        context=200_000,
    ),
    Model(
        id="google/gemini-2.5-pro",
        name="Google: Gemini 2.5 Pro",
        prices=_GEMINI_PRO,
        context=1_048_576,
        output=65_536,
        reasoning=True,
    ),
    Model(
        id="google/gemini-3.8-flash",
        name="Google: Gemini 3.8 Flash",
        prices=_prices("0.3", "2.5", "0.03", web_search="0.035"),
        context=1_048_576,
        output=65_536,
        reasoning=True,
    ),
    Model(
        id="bytedance/doubao-seed-2",
        name="ByteDance: Doubao Seed 2",
        prices=_DOUBAO,
        context=256_000,
        output=32_000,
    ),
    Model(
        id="acme/mini",
        name="Acme: Mini",
        prices=_prices("0.15", "0.6", "0.075"),
        context=128_000,
        output=16_384,
    ),
    Model(
        id="acme/mini-free",
        name="Acme: Mini (free)",
        prices=_prices("0", "0", "0"),
        context=128_000,
        output=16_384,
    ),
    Model(id="acme/unpriced", name="Acme: Unpriced", prices=UNLISTED, unpriced=True),
    Model(
        id="openai/text-embedding-3-small",
        name="OpenAI: text-embedding-3-small",
        prices=_prices("0.02", "0"),
        context=8_191,
        embeddings=True,
    ),
    Model(
        id="zai-org-glm-5-1",
        name="GLM 5.1",
        prices=_prices("0.7", "2.8", "0.07", web_search=_VENICE_SEARCH),
        context=202_752,
        venice=True,
    ),
    Model(
        id="venice-uncensored",
        name="Venice Uncensored",
        prices=_prices("0.2", "0.9", web_search=_VENICE_SEARCH),
        context=32_768,
        output=8_192,
        venice=True,
    ),
    Model(
        id="deepseek-v4-pro",
        name="DeepSeek V4 Pro",
        prices=_prices("1.73", "3.796", "0.33", web_search=_VENICE_SEARCH),
        context=1_000_000,
        reasoning=True,
        venice=True,
    ),
    Model(
        id="claude-opus-5-5",
        name="Claude Opus 5.5",
        prices=_VENICE_CLAUDE,
        context=1_000_000,
        venice=True,
    ),
    Model(
        id="openai-gpt-55",
        name="GPT-5.5",
        prices=_EXTENDED,
        context=1_000_000,
        output=128_000,
        reasoning=True,
        venice=True,
    ),
    Model(
        id="text-embedding-bge-m3",
        name="BGE-M3",
        prices=_prices("0.15", "0"),
        context=8_192,
        embeddings=True,
        venice=True,
    ),
)

#: Where a router's request (`zenmux/auto`) names no candidates.
ROUTED_BY_DEFAULT: Final = "openai/gpt-5.6-mini"
#: Ids below this prefix do not exist anywhere, so that a test can ask for a 404.
MISSING_PREFIX: Final = "missing/"

_DATED: Final = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|latest)$")


def _index(*, venice: bool) -> dict[str, Model]:
    """Every spelling under which a model is known: with and without owner, dots or dashes."""
    known: dict[str, Model] = {}
    for model in MODELS:
        if model.venice == venice:
            for name in (model.id, model.bare, model.bare.replace(".", "-")):
                known.setdefault(name, model)
    return known


_AGIPOWER: Final = _index(venice=False)
_VENICE: Final = _index(venice=True)


@lru_cache(maxsize=4_096)
def find_model(name: str, *, venice: bool) -> Model:
    """The model that a request means; one that nobody lists is made up at the `UNLISTED` price."""
    known = _VENICE if venice else _AGIPOWER
    plain = name.removeprefix("models/").partition(":")[0]
    undated = _DATED.sub("", plain)
    for spelling in (plain, undated, undated.rpartition("/")[2], undated.removeprefix("venice-")):
        if spelling in known:
            return known[spelling]
    return Model(id=plain, name=plain, prices=UNLISTED, unpriced=True, venice=venice)
