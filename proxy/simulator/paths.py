"""What a path asks for: whose manners it forces, which operation, which model."""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import msgspec


class Flavour(StrEnum):
    """Whose manners an answer has."""

    AGIPOWER = "agipower"
    VENICE = "venice"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    OPENROUTER = "openrouter"
    VERCEL = "vercel"


class Operation(StrEnum):
    """What a request wants; the first five are metered."""

    CHAT_COMPLETIONS = "chat_completions"
    RESPONSES = "responses"
    MESSAGES = "messages"
    GENERATE_CONTENT = "generate_content"
    EMBEDDINGS = "embeddings"
    COUNT_TOKENS = "count_tokens"
    RESPONSE_LOOKUP = "response_lookup"
    RESPONSE_CANCEL = "response_cancel"
    MODELS = "models"
    GENERATION = "generation"
    SUBSCRIPTION_DETAIL = "subscription_detail"
    FLOW_RATE = "flow_rate"
    PAYG_BALANCE = "payg_balance"
    MANAGEMENT_COST = "management_cost"
    MANAGEMENT_USAGE = "management_usage"
    BILLING_USAGE = "billing_usage"
    BILLING_USAGE_HISTORY = "billing_usage_history"
    BILLING_BALANCE = "billing_balance"
    RATE_LIMITS = "rate_limits"
    CREDITS = "credits"
    KEY = "key"
    GREETING = "greeting"
    UNKNOWN = "unknown"


METERED: Final = frozenset(
    {
        Operation.CHAT_COMPLETIONS,
        Operation.RESPONSES,
        Operation.MESSAGES,
        Operation.GENERATE_CONTENT,
        Operation.EMBEDDINGS,
    }
)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One path, understood."""

    operation: Operation
    #: Set when the path itself forces a flavour.
    flavour: Flavour | None = None
    #: The model where the URL names it.
    model: str = ""
    #: generateContent's stream is chosen by the path.
    streamed: bool = False
    #: The id in the path of a stored response.
    resource: str = ""
    #: The dialect of a model list or a token count, or empty.
    dialect: str = ""


_FLAVOURS: Final = {f"/{flavour}": flavour for flavour in Flavour}
_MOUNT: Final = re.compile(
    r"^(?P<surface>/api/vertex-ai|/api/anthropic|/api)?(?:/v1beta1|/v1beta|/v1)(?:/openai)?(?=/)"
)
_TAILS: Final = {
    ("POST", "/chat/completions"): Operation.CHAT_COMPLETIONS,
    ("POST", "/responses"): Operation.RESPONSES,
    ("POST", "/messages"): Operation.MESSAGES,
    ("POST", "/embeddings"): Operation.EMBEDDINGS,
    ("GET", "/models"): Operation.MODELS,
    ("GET", "/generation"): Operation.GENERATION,
    ("GET", "/management/generation"): Operation.GENERATION,
    ("GET", "/management/subscription/detail"): Operation.SUBSCRIPTION_DETAIL,
    ("GET", "/management/flow_rate"): Operation.FLOW_RATE,
    ("GET", "/management/payg/balance"): Operation.PAYG_BALANCE,
    ("GET", "/management/cost"): Operation.MANAGEMENT_COST,
    ("GET", "/management/usage"): Operation.MANAGEMENT_USAGE,
    ("GET", "/billing/usage"): Operation.BILLING_USAGE,
    ("GET", "/billing/usage-history"): Operation.BILLING_USAGE_HISTORY,
    ("GET", "/billing/balance"): Operation.BILLING_BALANCE,
    ("GET", "/api_keys/rate_limits"): Operation.RATE_LIMITS,
    ("GET", "/credits"): Operation.CREDITS,
    ("GET", "/key"): Operation.KEY,
}
_COUNTS: Final = {
    "/messages/count_tokens": "messages",
    "/responses/input_tokens": "responses",
}
_STORED: Final = re.compile(r"^/responses/(?P<id>[^/]+)(?P<cancel>/cancel)?$")
_MODEL: Final = re.compile(
    r"^(?:/projects/[^/]+/locations/[^/]+)?(?:/publishers/(?P<publisher>[^/]+))?"
    r"/models/(?P<model>.+):(?P<action>[A-Za-z]+)$"
)
_MODEL_LIST: Final = re.compile(r"^(?:/projects/[^/]+/locations/[^/]+)?/publishers/[^/]+/models$")
_DIALECT_OF_SURFACE: Final = {"/api/vertex-ai": "generate_content", "/api/anthropic": "messages"}


@lru_cache(maxsize=8_192)
def understand(method: str, raw_path: str) -> Target:
    """The target of a request; `raw_path` without its query, still percent-encoded."""
    flavour = _FLAVOURS.get(raw_path[: raw_path.find("/", 1)]) if "/" in raw_path[1:] else None
    path = raw_path.removeprefix(f"/{flavour}") if flavour else raw_path
    mount = _MOUNT.match(path)
    if mount is None:
        greeting = method in {"GET", "HEAD"} and path in {"", "/"}
        return Target(
            operation=Operation.GREETING if greeting else Operation.UNKNOWN, flavour=flavour
        )
    dialect = _DIALECT_OF_SURFACE.get(mount["surface"] or "", "")
    if mount["surface"] is None and "/v1beta" in mount[0] and "/openai" not in mount[0]:
        dialect = "generate_content"
    return _understand_tail(method, path[mount.end() :], flavour, dialect)


def _understand_tail(method: str, tail: str, flavour: Flavour | None, dialect: str) -> Target:
    if operation := _TAILS.get((method, tail)):
        return Target(operation=operation, flavour=flavour, dialect=dialect)
    if method == "POST" and tail in _COUNTS:
        return Target(operation=Operation.COUNT_TOKENS, flavour=flavour, dialect=_COUNTS[tail])
    if stored := _STORED.match(tail):
        lookup = Operation.RESPONSE_CANCEL if stored["cancel"] else Operation.RESPONSE_LOOKUP
        if method == ("POST" if stored["cancel"] else "GET"):
            return Target(operation=lookup, flavour=flavour, resource=unquote(stored["id"]))
    if method == "GET" and _MODEL_LIST.match(tail):
        return Target(operation=Operation.MODELS, flavour=flavour, dialect="generate_content")
    if method == "POST" and (named := _MODEL.match(tail)):
        return _understand_action(named, flavour)
    return Target(operation=Operation.UNKNOWN, flavour=flavour)


def _understand_action(named: re.Match[str], flavour: Flavour | None) -> Target:
    """GenerateContent names the model in the path, and the action after the last colon."""
    model = unquote(named["model"])
    publisher = named["publisher"]
    if publisher and "/" not in model and flavour in {None, Flavour.AGIPOWER}:
        model = f"{unquote(publisher)}/{model}"
    operation = {
        "generateContent": Operation.GENERATE_CONTENT,
        "streamGenerateContent": Operation.GENERATE_CONTENT,
        "countTokens": Operation.COUNT_TOKENS,
    }.get(named["action"], Operation.UNKNOWN)
    return Target(
        operation=operation,
        flavour=flavour,
        model=model,
        streamed=named["action"] == "streamGenerateContent",
        dialect="generate_content",
    )
