"""Which kind of key a request carries, and whether one leaked that never should leave the proxy."""

import hashlib
from enum import StrEnum
from typing import Final

from aiohttp.web_request import BaseRequest


class KeyKind(StrEnum):
    """What a key may do, told by its prefix as the providers do."""

    NONE = "none"
    PAYG = "payg"
    SUBSCRIPTION = "subscription"
    MANAGEMENT = "management"
    VENICE_INFERENCE = "venice_inference"
    VENICE_ADMIN = "venice_admin"
    #: A key of the proxy under test: it must never reach a provider.
    CLIENT = "client"

    @property
    def is_venice(self) -> bool:
        """Whether Venice issued it."""
        return self in {KeyKind.VENICE_INFERENCE, KeyKind.VENICE_ADMIN}


CLIENT_KEY_PREFIX: Final = "bsr_"
_PREFIXES: Final = (
    ("sk-ai-v1-", KeyKind.PAYG),
    ("sk-ss-v1-", KeyKind.SUBSCRIPTION),
    ("sk-mg-v1-", KeyKind.MANAGEMENT),
    ("VENICE_INFERENCE_KEY_", KeyKind.VENICE_INFERENCE),
    ("VENICE_ADMIN_KEY_", KeyKind.VENICE_ADMIN),
    (CLIENT_KEY_PREFIX, KeyKind.CLIENT),
)
#: Where the SDKs put a key; `authorization` last, because some send both and mean the other.
_HEADERS: Final = ("x-api-key", "x-goog-api-key", "api-key", "authorization")
CREDENTIAL_HEADERS: Final = frozenset({*_HEADERS, "proxy-authorization", "cookie"})
_LEAK: Final = CLIENT_KEY_PREFIX.encode()


def key_of(request: BaseRequest) -> str:
    """The key a request carries, or an empty string."""
    headers = request.headers
    for name in _HEADERS:
        if value := headers.get(name):
            return value.removeprefix("Bearer ").removeprefix("bearer ").strip()
    return request.query.get("key", "") if "key=" in request.path_qs else ""


def kind_of(key: str) -> KeyKind:
    """The kind that a key's prefix tells."""
    if not key:
        return KeyKind.NONE
    for prefix, kind in _PREFIXES:
        if key.startswith(prefix):
            return kind
    return KeyKind.PAYG


def leaks_client_key(request: BaseRequest) -> bool:
    """Whether a key of the proxy under test stands in any header or in the URL."""
    if CLIENT_KEY_PREFIX in request.path_qs:
        return True
    return any(_LEAK in value for _name, value in request.raw_headers)


def key_id(key: str) -> str:
    """What management endpoints call a key: a resource's id, never the secret."""
    return f"key_{hashlib.sha256(key.encode()).hexdigest()[:12]}"
