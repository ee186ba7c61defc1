"""Request bodies as JSON text: decoded once, refused where servers would disagree, edited."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar, cast, get_args

import msgspec

from proxy.dialects.counts import ABSENT, is_absent, opens_with
from proxy.dialects.interface import MalformedRequest

T = TypeVar("T", bound=msgspec.Struct)

#: A limit on output above it is no limit that a model has; what is below is the quote's to clamp.
TOKENS_MAX: Final = 2**31
#: What OpenAI documents for `n`; more can only be a mistake, or meant to exhaust a budget.
CHOICES_MAX: Final = 128
# The longest model names are resource paths of tuned models, below 200 characters.
MODEL_CHARS_MAX: Final = 256

# Undoing a disguise takes 0.1 s per MiB of it. No client is known that needs it at all.
DISGUISED_BYTES_MAX: Final = 256 * 1024
# The longest documents of an API name some sixty fields. Each one costs the event loop time.
MEMBERS_MAX: Final = 1_000
# So short a body cannot name more than the event loop can bear; counting on the way costs more.
_UNCOUNTED_BYTES: Final = 32 * 1024
# Everything that decides and is not the conversation itself: the longest is `tools`, and a MiB of
# tools would fill the context window of most models. Decoding a MiB takes up to 40 ms.
SETTING_BYTES_MAX: Final = 1024 * 1024
# OpenAI takes 128 tools; what is in a list is looked at one by one.
ITEMS_MAX: Final = 4_096

#: An object's members, their values as they stand in the text.
Members = dict[str, msgspec.Raw]
#: An output limit; null is as good as none.
Limit = Annotated[int, msgspec.Meta(ge=1, le=TOKENS_MAX)] | None
#: A thinking budget; some give -1 to leave it to the model.
Budget = Annotated[int, msgspec.Meta(ge=-1, le=TOKENS_MAX)] | None
#: How many answers are asked for.
Choices = Annotated[int, msgspec.Meta(ge=1, le=CHOICES_MAX)] | None

_HOUR: Final = re.compile(rb'"ttl"\s*+:\s*+"1h"')
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# `\u0061` and its like: an ASCII letter, digit or underscore in disguise, if the backslash is not
# itself escaped. The first pattern is quick, the second one is right.
_MENTIONED: Final = re.compile(rb"\\u00(?:3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")
_DISGUISED: Final = re.compile(rb"(?<!\\)(?:\\\\)*+" + _MENTIONED.pattern)
_ESCAPE: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
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


class CacheOptions(msgspec.Struct):
    """How OpenAI is to keep a prompt."""

    ttl: str | None = None


def cache_write(
    text: bytes, options: CacheOptions | None = None, retention: str | None = None
) -> Literal["default", "1h"]:
    """Return the longest life that any cache mark asks for; the longer one costs more to write."""
    asked = options.ttl if options else None
    long = asked not in {None, "30m"} or retention not in {None, "in_memory", "in-memory"}
    return "1h" if long or _HOUR.search(text) else "default"


def decode(kind: type[T], text: bytes) -> tuple[T, Members]:
    """Decode a request body in one pass over it, however long its messages are.

    Args:
        kind: a Struct; what it declares as `Raw` stays as it is. Names may be given only once in
            the body, and in those of its objects that are Structs, too: they decide the cost.
        text: the plain text of the decompressed body.

    Returns:
        The request, and every member of the body by its name, nulls left out.

    Raises:
        MalformedRequest: with what is wrong and where.
    """
    try:
        if not text.isascii():
            text.decode()
        members = _members_once(text)
        raw = {name: field.name for name, field in _fields(kind).items() if field.raw}
        settings = {name: value for name, value in members.items() if name not in raw}
        request = _decoder(kind).decode(written(_settings(kind, settings)))
        for name in raw.keys() & members.keys():
            setattr(request, raw[name], members[name])
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
    given = {name: value for name, value in members.items() if not is_absent(value)}
    return cast("T", request), given


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


class _Key:
    """A name as it stands in an object; two of them are never the same key."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def _new_key(_kind: type, name: str) -> _Key:
    return _Key(name)


_PAIRS: Final = msgspec.json.Decoder(dict[_Key, msgspec.Raw], dec_hook=_new_key)


def _pairs(text: bytes | msgspec.Raw) -> list[tuple[str, msgspec.Raw]]:
    """Return an object's members, those of the same name too."""
    if len(memoryview(text)) <= _UNCOUNTED_BYTES:
        pairs = [(key.name, value) for key, value in _PAIRS.decode(text).items()]
        if len(pairs) > MEMBERS_MAX:
            raise _too_many_members()
        return pairs
    names = 0

    def key(_kind: type, name: str) -> _Key:
        nonlocal names
        names += 1
        if names > MEMBERS_MAX:
            raise _too_many_members()
        return _Key(name)

    # A decoder of its own for each call, because it counts.
    decoder = msgspec.json.Decoder(dict[_Key, msgspec.Raw], dec_hook=key)
    return [(key.name, value) for key, value in decoder.decode(text).items()]


def _too_many_members() -> MalformedRequest:
    return MalformedRequest(
        f"The body has an object with more than {MEMBERS_MAX} fields. Send fewer."
    )


def _members_once(text: bytes | msgspec.Raw) -> Members:
    """Return an object's members; refuse a name given twice: servers disagree on which one wins."""
    members: Members = {}
    for name, value in _pairs(text):
        if name in members:
            raise MalformedRequest(
                f"'{name[:MODEL_CHARS_MAX]}' is given more than once, and servers disagree on "
                "which one counts. Give it once.",
                name[:MODEL_CHARS_MAX],
            )
        members[name] = value
    return members


def setting(members: Members, name: str) -> msgspec.Raw:
    """Return a member that is short enough to be looked through; a null if there is none.

    Raises:
        MalformedRequest: it is not, or it is a list of too many, or of objects with a name twice.
    """
    value = members.get(name, ABSENT)
    if len(memoryview(value)) > SETTING_BYTES_MAX:
        raise MalformedRequest(
            f"'{name}' is longer than {SETTING_BYTES_MAX} bytes. Send less of it.", name
        )
    if opens_with(value, b"["):
        items = _ITEMS.decode(value)
        if len(items) > ITEMS_MAX:
            raise MalformedRequest(f"'{name}' has more than {ITEMS_MAX} items. Send fewer.", name)
        for item in items:
            if opens_with(item, b"{"):
                _members_once(item)
    return value


def object_of(members: Members, name: str) -> Members:
    """Return the members of a member that is an object; none of anything else."""
    if name not in members:
        return {}
    value = setting(members, name)
    return _members_once(value) if opens_with(value, b"{") else {}


def _settings(kind: type[msgspec.Struct], members: Members) -> Members:
    """Return the members that are to be decoded, without what is in them and not read."""
    settings: Members = {}
    fields = _fields(kind)
    for name, value in members.items():
        field = fields.get(name)
        if field is None or is_absent(value):
            continue
        if field.inner is not None and opens_with(value, b"{"):
            inner = _settings(field.inner, _members_once(value))
            settings[name] = setting({name: msgspec.Raw(written(inner))}, name)
        else:
            settings[name] = setting(members, name)
    return settings


class _Field(NamedTuple):
    #: In the Struct.
    name: str
    raw: bool
    #: The Struct that the field holds.
    inner: type[msgspec.Struct] | None


@cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, _Field]:
    fields = {}
    for field in msgspec.structs.fields(kind):
        held = (field.type, *get_args(field.type))
        inner = [each for each in held if isinstance(each, type(msgspec.Struct))]
        fields[field.encode_name] = _Field(
            field.name, field.type is msgspec.Raw, next(iter(inner), None)
        )
    return fields


@cache
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


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
