"""Ids as each provider forms them, the same for the same seed."""

import hashlib
from typing import Final

import msgspec

from proxy.simulator.paths import Flavour

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Ids(msgspec.Struct, frozen=True):
    """The ids of one answer."""

    body: str
    #: The id in the `x-generation-id` header, or Vercel's in `providerMetadata`.
    gateway: str
    request: str


def digest(seed: int, number: int) -> str:
    """64 hex digits that belong to one call."""
    return hashlib.sha256(b"%d/%d" % (seed, number)).hexdigest()


def ids_of(hexadecimal: str, flavour: Flavour, dialect: str) -> Ids:
    """The ids of an answer in a dialect, of the form its provider gives them."""
    short = hexadecimal[:32]
    request = f"2534{hexadecimal[32:48].upper()}"
    match flavour:
        case Flavour.AGIPOWER:
            body = _bare_id(dialect, hexadecimal, "", "")
            return Ids(body, f"gen_{hexadecimal[40:56]}", request)
        case Flavour.VENICE:
            chat = f"chatcmpl-{short}"
            return Ids(f"resp_{chat}" if dialect == "responses" else chat, "", request)
        case Flavour.OPENROUTER:
            generation = f"gen-1727282430-{short[:20]}"
            return Ids(generation, generation, request)
        case Flavour.VERCEL:
            body = _bare_id(dialect, hexadecimal, "chatcmpl-", "msg_")
            return Ids(body, f"gen_{_ulid(hexadecimal)}", request)
        case _:
            body = _bare_id(dialect, hexadecimal, "chatcmpl-", "msg_01")
            return Ids(body, "", f"req_{hexadecimal[32:56]}")


def _bare_id(dialect: str, hexadecimal: str, chat: str, message: str) -> str:
    match dialect:
        case "responses":
            return f"resp_{hexadecimal[:50]}"
        case "generate_content":
            # Google's own form: 22 letters and digits, with an underscore in the middle.
            return f"{hexadecimal[:11]}_{hexadecimal[11:21]}"
        case "embeddings":
            return ""
        case "messages":
            return message + hexadecimal[:32]
        case _:
            return chat + hexadecimal[:32]


def _ulid(hexadecimal: str) -> str:
    number = int(hexadecimal[:32], 16) >> 3
    letters = []
    for _ in range(26):
        letters.append(_CROCKFORD[number & 31])
        number >>= 5
    return "".join(reversed(letters))
