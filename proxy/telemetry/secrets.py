"""Taking secrets out of what is logged: whatever looks like a key, and whatever holds a prompt."""

from __future__ import annotations

import re
from typing import Final

REDACTED: Final = "[redacted]"
#: Fields that are dropped whatever they hold: what people wrote, and what opens doors.
DROPPED: Final = frozenset(
    {
        "api_key",
        "authorization",
        "body",
        "content",
        "cookie",
        "headers",
        "messages",
        "password",
        "prompt",
        "secret",
        "token",
    }
)
# Logs are for people: what nests deeper is not read by anyone, and costs time.
_DEPTH_MAX: Final = 4
# Of one text. A traceback is some kilobytes; a body that came in by mistake can be megabytes.
TEXT_CHARACTERS_MAX: Final = 16_384

# Nothing shorter can be a key with its prefix.
_SECRET_CHARACTERS_MIN: Final = 11

# What goes before a secret stays, so that a reader sees what it was. What is shown of a caller's
# key on purpose (`bsr_` and six characters) is shorter than what is taken for a whole one.
_SECRET: Final = re.compile(
    r"(\b(?:bsr_|sk-|sk_|rk-|pplx-|gsk_|xai-|vck_|VENICE_[A-Z]+_KEY_|AIza|ya29\.|AQ\.|eyJ"
    r"|(?i:bearer|basic)\s+))[A-Za-z0-9_.~+/=-]{8,}"
    # In a query, and the password in an address.
    r"|([?&](?:api[_-]?key|key|access_token|token)=)[^&\s\"']+"
    r"|(://[^/\s:@]*:)[^/\s@]+(?=@)"
)


def redacted(text: str) -> str:
    """Return a text without the secrets in it."""
    if len(text) < _SECRET_CHARACTERS_MIN:
        return text
    if len(text) > TEXT_CHARACTERS_MAX:
        text = f"{text[:TEXT_CHARACTERS_MAX]}… ({len(text)} characters)"
    return _SECRET.sub(_without, text)


def _without(found: re.Match[str]) -> str:
    return (found[1] or found[2] or found[3]) + REDACTED


def cleaned(value: object, depth: int = 0) -> object:
    """Return a value of a log line without the secrets in it."""
    if isinstance(value, str):
        return redacted(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if depth >= _DEPTH_MAX:
        return REDACTED
    if isinstance(value, dict):
        return {
            redacted(str(name)): REDACTED if is_dropped(name) else cleaned(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [cleaned(inner, depth + 1) for inner in value]
    return redacted(str(value))


def is_dropped(name: object) -> bool:
    """Tell whether a field is dropped for its name."""
    return isinstance(name, str) and name.lower().replace("-", "_") in DROPPED
