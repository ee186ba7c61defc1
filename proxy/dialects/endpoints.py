"""Which endpoint a path names; every path that is not listed here is not forwarded.

Sources: contract.md ("Data plane"), facts/protocols.md D2 (the paths that the SDKs really use).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, unquote_plus

from proxy.dialects.interface import DialectName

# The longest path seen has four names in it, of at most 256 characters each (prices/names.py).
PATH_BYTES_MAX: Final = 2_048
# What is echoed of a path in a message.
_SHOWN_CHARACTERS_MAX: Final = 120


class Operation(StrEnum):
    """What a request wants."""

    CHAT_COMPLETIONS = "chat_completions"
    RESPONSES = "responses"
    RESPONSE_GET = "response_get"
    RESPONSE_CANCEL = "response_cancel"
    RESPONSE_INPUT_TOKENS = "response_input_tokens"
    MESSAGES = "messages"
    COUNT_TOKENS = "count_tokens"
    GENERATE_CONTENT = "generate_content"
    STREAM_GENERATE_CONTENT = "stream_generate_content"
    GEMINI_COUNT_TOKENS = "gemini_count_tokens"
    EMBEDDINGS = "embeddings"
    MODELS = "models"
    GEMINI_MODELS = "gemini_models"
    BUDGET = "budget"
    PROBE = "probe"


#: What begins a call, and so needs a reservation. The others cost nothing: a stored response was
#: reserved when it was created, and is settled from its lookups.
METERED: Final = frozenset(
    {
        Operation.CHAT_COMPLETIONS,
        Operation.RESPONSES,
        Operation.MESSAGES,
        Operation.GENERATE_CONTENT,
        Operation.STREAM_GENERATE_CONTENT,
        Operation.EMBEDDINGS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What a method and a path ask for."""

    operation: Operation
    dialect: DialectName
    #: Needs a reservation.
    metered: bool
    #: The provider that the path names as its first part.
    provider: str | None = None
    #: The model where the path names it, percent-decoded.
    model: str | None = None
    #: The path (or its query) asks for an answer piece by piece; elsewhere the body does.
    streams: bool = False
    version: str = "v1"
    #: generateContent: whose model it is, where the path says so.
    publisher: str | None = None
    #: generateContent: the Google Cloud project and region, both or neither.
    project: str | None = None
    location: str | None = None
    #: generateContent: the path lies below `/api/vertex-ai`, where names have their owner in front.
    owned: bool = False
    response_id: str | None = None
    #: As it goes to the provider: without keys, and without what would hide usage.
    query: str = ""
    key_from_query: str | None = None

    @property
    def slug(self) -> str | None:
        """The model's name for routes, budgets and prices, while the provider is not known yet.

        Google's own names have no owner in front; AGIPower's have (`google/gemini-2.5-pro`).
        """
        if self.publisher is None or (self.publisher == "google" and not self.owned):
            return self.model
        return f"{self.publisher}/{self.model}"

    def slug_for(self, kind: str) -> str | None:
        """Return the model's name as a kind of provider has it.

        At AGIPower it has its owner, however the path was written: otherwise a budget on
        `google/*` would not count `/v1beta/models/gemini-2.5-pro`.
        """
        if kind != "agipower" or self.model is None or "/" in self.model:
            return self.slug
        return f"{self.publisher or 'google'}/{self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFound:
    """A path that leads nowhere, and what its sender should be told."""

    #: Whose manners the answer should have, as far as the path tells.
    dialect: DialectName
    status: int
    message: str
    hint: str = ""
    #: What `Allow` should say of a 405.
    allow: tuple[str, ...] = ()


def find_endpoint(
    method: str, raw_path_and_query: str, providers: frozenset[str]
) -> Endpoint | NotFound:
    """Return what a request line asks for.

    Args:
        method: in capitals, as it was sent.
        raw_path_and_query: percent-encoded, as it was sent.
        providers: names that may stand in front of a path.
    """
    if len(raw_path_and_query) > PATH_BYTES_MAX or _SUSPECT.search(raw_path_and_query):
        return _find(method, raw_path_and_query, providers)
    return _remembered(method, raw_path_and_query, providers)


@lru_cache(maxsize=1_024)
def _remembered(method: str, target: str, providers: frozenset[str]) -> Endpoint | NotFound:
    """Return what was found for the same request line before; never for one with a key in it."""
    return _find(method, target, providers)


def _find(method: str, target: str, providers: frozenset[str]) -> Endpoint | NotFound:
    path, _, query = target.partition("?")
    slash = path.find("/", 1)
    provider: str | None = path[1:] if slash < 0 else path[1:slash]
    if provider in providers:
        path = path[slash:] if slash > 0 else "/"
    else:
        provider = None
    methods = _FIXED.get(path)
    if methods is None:
        return _find_named(method, path, query, provider)
    endpoint = methods.get(method)
    if endpoint is None:
        return _wrong_method(method, path, methods)
    if not query and provider is None:
        return endpoint
    return _endpoint(endpoint, query, provider)


# Paths without a name in them…


def _fixed() -> dict[str, dict[str, Endpoint]]:
    table: dict[str, dict[str, Endpoint]] = {}

    def add(
        method: str, operation: Operation, dialect: DialectName, *paths: str, version: str = "v1"
    ) -> None:
        metered = operation in METERED
        endpoint = Endpoint(operation=operation, dialect=dialect, metered=metered, version=version)
        for path in paths:
            table.setdefault(path, {})[method] = endpoint

    for base in ("/v1", "/api/v1"):
        add("POST", Operation.CHAT_COMPLETIONS, "chat_completions", f"{base}/chat/completions")
        add("POST", Operation.RESPONSES, "responses", f"{base}/responses")
        tokens = f"{base}/responses/input_tokens"
        add("POST", Operation.RESPONSE_INPUT_TOKENS, "responses", tokens)
        add("POST", Operation.EMBEDDINGS, "embeddings", f"{base}/embeddings")
        add("GET", Operation.MODELS, "chat_completions", f"{base}/models")
        add("GET", Operation.BUDGET, "chat_completions", f"{base}/budget")
    # OpenRouter takes Messages below /api, so its users' base URL leads there.
    for base in ("/v1", "/api/v1", "/anthropic/v1", "/api/anthropic/v1"):
        add("POST", Operation.MESSAGES, "messages", f"{base}/messages")
        add("POST", Operation.COUNT_TOKENS, "messages", f"{base}/messages/count_tokens")
    for base in ("/anthropic/v1", "/api/anthropic/v1"):
        add("GET", Operation.MODELS, "messages", f"{base}/models")
    for version in ("v1", "v1beta", "v1beta1"):
        lists = [f"/api/vertex-ai/{version}/models", f"/{version}/publishers/google/models"]
        lists += [f"/api/vertex-ai/{version}/publishers/google/models"]
        lists += [f"/{version}/models"] if version != "v1" else []
        add("GET", Operation.GEMINI_MODELS, "generate_content", *lists, version=version)
    # Claude Code asks this before anything else; any answer below 500 will do.
    add("HEAD", Operation.PROBE, "messages", "/")
    return table


_FIXED: Final = _fixed()


# Paths with a name in them…

_NAME: Final = r"[A-Za-z0-9._~:@+,=&()-]"
_MODEL: Final = re.compile(
    r"(?P<owned>/api/vertex-ai)?/(?P<version>v1|v1beta|v1beta1)"
    rf"(?:/projects/(?P<project>{_NAME}+)/locations/(?P<location>[a-z0-9-]+))?"
    rf"(?:/publishers/(?P<publisher>[A-Za-z0-9._~-]+)/models/(?P<plain>{_NAME}+)"
    rf"|/models/(?P<slashed>(?:[A-Za-z0-9._~-]+/)?{_NAME}+)):(?P<action>[A-Za-z]+)"
)
_STORED: Final = re.compile(r"(?:/api)?/v1/responses/(?P<id>[A-Za-z0-9._~:-]+)(?P<cancel>/cancel)?")
_ACTIONS: Final = {
    "generateContent": Operation.GENERATE_CONTENT,
    "streamGenerateContent": Operation.STREAM_GENERATE_CONTENT,
    "countTokens": Operation.GEMINI_COUNT_TOKENS,
}
# Not an action of a stored response, though it looks like its id (facts/protocols.md, D2).
_NOT_STORED: Final = frozenset({"compact", "input_tokens"})


def _find_named(method: str, path: str, query: str, provider: str | None) -> Endpoint | NotFound:
    trick = _trick(path)
    if trick is not None:
        return NotFound(dialect=_dialect_of(path), status=400, message=trick)
    plain = unquote(path)
    model = _MODEL.fullmatch(plain)
    if model is not None and (operation := _ACTIONS.get(model["action"])) is not None:
        if method != "POST":
            return _wrong_method(method, path, ("POST",))
        return _endpoint(_of_model(operation, model), query, provider)
    stored = _STORED.fullmatch(plain)
    if stored is not None and stored["id"] not in _NOT_STORED:
        expected = "POST" if stored["cancel"] else "GET"
        if method != expected:
            return _wrong_method(method, path, (expected,))
        return _endpoint(_of_response(stored, query), query, provider)
    return _unknown(method, path)


def _of_model(operation: Operation, found: re.Match[str]) -> Endpoint:
    return Endpoint(
        operation=operation,
        dialect="generate_content",
        metered=operation in METERED,
        model=found["plain"] or found["slashed"],
        streams=operation is Operation.STREAM_GENERATE_CONTENT,
        version=found["version"],
        publisher=found["publisher"],
        project=found["project"],
        location=found["location"],
        owned=found["owned"] is not None,
    )


def _of_response(found: re.Match[str], query: str) -> Endpoint:
    cancels = found["cancel"] is not None
    return Endpoint(
        operation=Operation.RESPONSE_CANCEL if cancels else Operation.RESPONSE_GET,
        dialect="responses",
        metered=False,
        streams=not cancels and "stream=true" in query.split("&"),
        response_id=found["id"],
    )


# Path tricks: whatever two readers of one path could take for two things…

_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Slash, backslash, dot, percent sign, controls, and everything outside of ASCII.
_ENCODED_TRICK: Final = re.compile(
    r"%(?:2[EeFf5]|5[Cc]|[01][0-9A-Fa-f]|7[Ff]|[89A-Fa-f][0-9A-Fa-f])"
)
_PLAIN_TRICK: Final = re.compile(r"[^!-~]|[\\#]")
_DOTS: Final = re.compile(r"/\.{1,2}(?:[/:]|$)")


def _trick(path: str) -> str | None:
    """Return what is wrong with a path that could be read in more than one way."""
    if len(path) > PATH_BYTES_MAX:
        return f"the path is longer than {PATH_BYTES_MAX} bytes"
    if not path.startswith("/"):
        return "the path does not begin with a slash"
    if "//" in path:
        return "the path has two slashes in a row: leave out the one at the end of the base URL"
    if _PLAIN_TRICK.search(path) or _ENCODED_TRICK.search(path) or _ESCAPE.search(path):
        return "the path has characters that it may not have, encoded or not: no name needs them"
    if _DOTS.search(path):
        return "the path has a part of dots alone: write it without"
    return None


# Queries…

# The only part of a query that is kept back and read: Google's place for a key.
_KEY: Final = "key"
# Never forwarded. Credentials, for the client's own never reach a provider. And what hides or
# replaces what is metered: Google's `fields` cuts usage out of the answer, `callback` wraps it, and
# of its system parameters `$req` replaces the body and `$httpHeaders` the headers.
_KEPT_BACK: Final = frozenset(
    {_KEY, "api_key", "api-key", "access_token", "oauth_token", "fields", "callback"}
)
_MAY_STAND: Final = frozenset({"$alt", "$prettyPrint"})
# Most queries are `alt=sse` or `beta=true`, and need no closer look.
_SUSPECT: Final = re.compile(r"%|\+|\$|key|token|fields|callback")
_NOT_A_QUERY: Final = re.compile(r"[^!-~]|#")


def _endpoint(found: Endpoint, query: str, provider: str | None) -> Endpoint | NotFound:
    """Return the endpoint with what the query and the prefix say."""
    key: str | None = None
    if query:
        if _NOT_A_QUERY.search(query):
            message = "the query has characters that must be percent-encoded"
            return NotFound(dialect=found.dialect, status=400, message=message)
        query, key = _without_key(query)
    return replace(found, provider=provider, query=query, key_from_query=key)


def _without_key(query: str) -> tuple[str, str | None]:
    """Return the query that goes on, and the key that was in it."""
    if not _SUSPECT.search(query):
        return query, None
    key: str | None = None
    kept: list[str] = []
    for part in query.split("&"):
        raw_name, _, value = part.partition("=")
        name = unquote_plus(raw_name)
        if name == _KEY and key is None:
            key = unquote_plus(value)
        if name not in _KEPT_BACK and (not name.startswith("$") or name in _MAY_STAND):
            kept.append(part)
    return "&".join(kept), key


# What is not found…

_NO_MODEL: Final = (
    "google-genai in its Vertex mode sends everything to '/' unless it has a project and a "
    "location, or an API key: set them, any value will do"
)
_HINTS: Final = (
    (
        re.compile(r"/(?:v1|v1beta)/v1/.*"),
        "this SDK adds /v1 by itself: leave it out of the base URL",
    ),
    (re.compile(r"/(?:chat/completions|responses|embeddings)"), "let the base URL end in /v1"),
    (re.compile(r"/messages"), "let the base URL end in /v1 here"),
    (re.compile(r"/.+/"), "leave out the slash at the end"),
    (re.compile(r"/openai/deployments/.*"), "use the plain OpenAI client, not the one for Azure"),
    (re.compile(r".*:(?:stream)?[rR]awPredict"), "send Claude's calls to /v1/messages"),
    (
        re.compile(r".*:(?:predict|embedContent|batchEmbedContents)"),
        "send embeddings to /v1/embeddings",
    ),
)


def _unknown(method: str, path: str) -> NotFound:
    if path == "/" and method == "POST":
        message = "the request names no endpoint and no model, so what it may cost is not known"
        return NotFound(dialect="generate_content", status=400, message=message, hint=_NO_MODEL)
    hint = next((text for pattern, text in _HINTS if pattern.fullmatch(path)), "")
    asked = f"{method} {path[:_SHOWN_CHARACTERS_MAX]}"
    message = f"{asked} is not metered, therefore it is not forwarded"
    return NotFound(dialect=_dialect_of(path), status=404, message=message, hint=hint)


def _wrong_method(method: str, path: str, methods: Iterable[str]) -> NotFound:
    allow = tuple(sorted(methods))
    if path == "/" and method == "POST":
        return _unknown(method, path)
    message = f"{path[:_SHOWN_CHARACTERS_MAX]} takes {' and '.join(allow)}, not {method}"
    return NotFound(dialect=_dialect_of(path), status=405, message=message, allow=allow)


def _dialect_of(path: str) -> DialectName:
    """Return the dialect that the sender most likely speaks."""
    if "messages" in path or "anthropic" in path:
        return "messages"
    if "v1beta" in path or "vertex-ai" in path or ":" in path or path == "/":
        return "generate_content"
    if "/responses" in path:
        return "responses"
    return "embeddings" if path.endswith("/embeddings") else "chat_completions"
