"""Request bodies as JSON text: decoded once, refused where servers would disagree, edited."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Final, TypeVar

import msgspec

from proxy.dialects.interface import MalformedRequest

T = TypeVar("T")

#: A limit on output above it is no limit that a model has; what is below is the quote's to clamp.
TOKENS_MAX: Final = 2**31
#: What OpenAI documents for `n`; more can only be a mistake, or meant to exhaust a budget.
CHOICES_MAX: Final = 128
# The longest model names are resource paths of tuned models, below 200 characters.
MODEL_CHARS_MAX: Final = 256

# Undoing a disguise takes 0.1 s per MiB of it. No client is known that needs it at all.
DISGUISED_BYTES_MAX: Final = 256 * 1024
# `generationConfig.thinkingConfig` lies two levels below the outermost object; no deciding field
# lies deeper.
_LEVELS_MAX: Final = 3

#: An output limit; null is as good as none.
Limit = Annotated[int, msgspec.Meta(ge=1, le=TOKENS_MAX)] | None
#: How many answers are asked for.
Choices = Annotated[int, msgspec.Meta(ge=1, le=CHOICES_MAX)] | None

_HOUR: Final = re.compile(rb'"ttl"\s*:\s*"1h"')
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# `\u0061` and its like: an ASCII letter, digit or underscore in disguise, if the backslash is not
# itself escaped. The first pattern is quick, the second one is right.
_MENTIONED: Final = re.compile(rb"\\u00(?:3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")
_DISGUISED: Final = re.compile(rb"(?<!\\)(?:\\\\)*+" + _MENTIONED.pattern)
_ESCAPE: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_INT: Final = msgspec.json.Decoder(int)


def names_pattern(names: Iterable[str]) -> re.Pattern[bytes]:
    r"""Return a pattern for any of these names between quotes.

    Inside of JSON strings quotes are escaped, so `"image_url"` never occurs in a text that somebody
    wrote: where it stands, it is a key, or a whole string. Only an escaped spelling of the same key
    (`"im\u0061ge_url"`) hides from the pattern; see `plain`.
    """
    return re.compile(b'"' + _trie(sorted(name.encode() for name in names)) + b'"')


def _trie(names: list[bytes]) -> bytes:
    """Return a pattern that looks at every byte once; a plain alternation is 40 % slower."""
    branches = []
    rest: dict[bytes, list[bytes]] = {}
    for name in names:
        if name:
            rest.setdefault(name[:1], []).append(name[1:])
    for first, tails in rest.items():
        branches.append(re.escape(first) + _trie(tails))
    if not branches:
        return b""
    optional = b"?" if b"" in names else b""
    if len(branches) == 1 and not optional:
        return branches[0]
    return b"(?:" + b"|".join(branches) + b")" + optional


def plain(body: bytes) -> bytes:
    r"""Return a body in which no letter, digit or underscore is written as an escape.

    It is the same JSON, with the same names given twice. Nobody who means well writes `\u0061` for
    an `a`, so nearly always it is the same object; a text may mention escapes (`\\u0061`).

    Raises:
        MalformedRequest: it is too long for such a disguise to be anything but an attack.
    """
    if b"\\u00" not in body or not _MENTIONED.search(body) or not _DISGUISED.search(body):
        return body
    if len(body) > DISGUISED_BYTES_MAX:
        raise MalformedRequest(
            "The body writes ASCII letters as escapes such as '\\u0061'. Write them as they are."
        )
    return _ESCAPE.sub(_unescaped, body)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    if not _MENTIONED.fullmatch(escape[0]):
        return escape[0]
    return bytes.fromhex(escape[0][-2:].decode())


def found(pattern: re.Pattern[bytes], *texts: bytes | msgspec.Raw) -> tuple[str, ...]:
    """Return the names that occur in plain text, in alphabetical order."""
    names = {name for text in texts for name in pattern.findall(text)}
    return tuple(sorted(name.strip(b'"').decode() for name in names))


def caches_for_an_hour(text: bytes) -> bool:
    """Say whether any cache mark asks for the longer life, which costs more to write."""
    return _HOUR.search(text) is not None


def decode(decoder: msgspec.json.Decoder[T], text: bytes, singular: re.Pattern[bytes]) -> T:
    """Decode a request body.

    Args:
        decoder: of a Struct that leaves messages raw.
        text: the plain text of the decompressed body.
        singular: the names that may stand in one object only once, because they decide the cost.

    Raises:
        MalformedRequest: with what is wrong and where.
    """
    try:
        if not text.isascii():
            text.decode()
        request = decoder.decode(text)
        _refuse_repetition(text, singular)
    except UnicodeDecodeError as error:
        raise MalformedRequest(
            f"The body is not valid UTF-8 at byte {error.start}. Send JSON in UTF-8."
        ) from None
    except msgspec.ValidationError as error:
        raise _invalid(error) from None
    except msgspec.DecodeError as error:
        raise MalformedRequest(
            f"The body is not valid JSON: {_reason(error, text)}. Send one JSON object."
        ) from None
    except RecursionError:
        raise MalformedRequest(
            "The body's objects and arrays are nested too deeply. Nest them less."
        ) from None
    return request


def _reason(error: msgspec.DecodeError, text: bytes) -> str:
    reason = str(error).removeprefix("JSON is malformed: ")
    return reason if "(byte " in reason else f"{reason} (byte {len(text)})"


def _invalid(error: msgspec.ValidationError) -> MalformedRequest:
    reason, _, path = str(error).partition(" - at `")
    path = path.removesuffix("`").removeprefix("$").removeprefix(".")
    reason = reason[:1].lower() + reason[1:]
    if not path:
        return MalformedRequest(f"The body is wrong: {reason}. Send one JSON object.")
    return MalformedRequest(f"'{path}' is wrong: {reason}. Correct this field.", path)


def _refuse_repetition(text: bytes, singular: re.Pattern[bytes]) -> None:
    """Refuse a body that names a deciding field twice: servers disagree on which one wins.

    Only objects outside of arrays are looked at: those hold the fields that decide, and a tool's
    schema or a message may use the same names for its own ends.
    """
    counts = Counter(match[0] for match in singular.finditer(text))
    names = [name for name, count in counts.items() if count > 1]
    objects = [(text, names)] if names else []
    for _ in range(_LEVELS_MAX):
        objects = [inner for outer, repeated in objects for inner in _inside(outer, repeated)]


def _inside(text: bytes, names: list[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield the objects in an object that hold any of the names twice, if it does not itself.

    The decoder keeps the last member of each name. Where none was dropped, every occurrence of a
    name is either the one key or lies in the value of a member that was kept.
    """
    object_ = _MEMBERS.decode(text)
    values = [bytes(value) for value in object_.values()]
    for name in names:
        word = name.strip(b'"').decode()
        if text.count(name) != (word in object_) + sum(value.count(name) for value in values):
            raise MalformedRequest(
                f"'{word}' is given more than once, and servers disagree on which one counts. "
                "Give it once.",
                word,
            )
    for value in values:
        repeated = [name for name in names if value.count(name) > 1]
        if repeated and value.startswith(b"{"):
            yield value, repeated


def model_name(path_model: str | None, body_model: str | None) -> str:
    """Return the model that is asked for: the path's before the body's.

    Raises:
        MalformedRequest: there is none, or it cannot be a name.
    """
    model = body_model if path_model is None else path_model
    if model is None or not model.strip():
        raise MalformedRequest("No model is named. Set 'model' to the model's name.", "model")
    if len(model) > MODEL_CHARS_MAX:
        raise MalformedRequest(
            f"The model's name is longer than {MODEL_CHARS_MAX} characters. Correct 'model'.",
            "model",
        )
    if _CONTROL.search(model):
        raise MalformedRequest(
            "The model's name contains control characters. Correct 'model'.", "model"
        )
    return model


Members = dict[str, msgspec.Raw]


def members(text: bytes | msgspec.Raw) -> Members:
    """Return an object's members, their values as they stand in the text; none for a null."""
    return {} if bytes(text) == b"null" else _MEMBERS.decode(text)


def written(object_: Members) -> bytes:
    """Return an object's text; every value keeps its bytes."""
    return msgspec.json.encode(object_)


def lowered(object_: Members, names: Iterable[str], default: str, tokens: int) -> Members:
    """Return an object with all of the limits it gives lowered to so many tokens, or one set."""
    given = [name for name in names if name in object_ and bytes(object_[name]) != b"null"]
    limits = {name: min(tokens, _INT.decode(object_[name])) for name in given}
    raw = {
        name: msgspec.Raw(b"%d" % limit) for name, limit in (limits or {default: tokens}).items()
    }
    return object_ | raw
