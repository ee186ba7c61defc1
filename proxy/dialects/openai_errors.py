"""Errors as OpenAI's formats write them: Chat Completions, Responses and embeddings share them."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from proxy.dialects.interface import ErrorKind


class _Words(NamedTuple):
    type: str
    code: str | None


# `insufficient_quota` is what makes the SDKs and Codex stop (protocols.md, C1).
_WORDS: Final = {
    ErrorKind.BUDGET_EXCEEDED: _Words("insufficient_quota", "budget_exceeded"),
    ErrorKind.WALLET_EXHAUSTED: _Words("insufficient_quota", "wallet_exhausted"),
    ErrorKind.UNPRICED: _Words("invalid_request_error", "unpriced"),
    ErrorKind.UNAUTHENTICATED: _Words("invalid_request_error", "invalid_api_key"),
    ErrorKind.MODEL_NOT_ALLOWED: _Words("invalid_request_error", "model_not_allowed"),
    ErrorKind.NOT_ALLOWED: _Words("invalid_request_error", "not_allowed"),
    ErrorKind.MALFORMED: _Words("invalid_request_error", "malformed"),
    ErrorKind.BODY_TOO_LARGE: _Words("invalid_request_error", "body_too_large"),
    ErrorKind.NOT_FOUND: _Words("invalid_request_error", "not_found"),
    ErrorKind.METHOD_NOT_ALLOWED: _Words("invalid_request_error", "method_not_allowed"),
    ErrorKind.UPGRADE_REQUIRED: _Words("invalid_request_error", "upgrade_required"),
    ErrorKind.OVERLOADED: _Words("server_error", "overloaded"),
    ErrorKind.LEDGER_UNAVAILABLE: _Words("server_error", "ledger_unavailable"),
    ErrorKind.UPSTREAM_UNREACHABLE: _Words("server_error", "upstream_unreachable"),
    ErrorKind.UPSTREAM_TIMEOUT: _Words("server_error", "upstream_timeout"),
    ErrorKind.UPSTREAM_CUT: _Words("server_error", "upstream_cut"),
    ErrorKind.INTERNAL: _Words("server_error", "internal"),
}


class Error(msgspec.Struct):
    """The object below `error`."""

    message: str
    type: str
    param: str | None
    code: str | None


class _Body(msgspec.Struct):
    error: Error


def error(kind: ErrorKind, message: str, param: str | None = None) -> Error:
    """Return an error object."""
    words = _WORDS[kind]
    return Error(message=message, type=words.type, param=param, code=words.code)


def error_body(kind: ErrorKind, message: str, param: str | None = None) -> bytes:
    """Return the JSON body of an error answer."""
    return msgspec.json.encode(_Body(error(kind, message, param)))
