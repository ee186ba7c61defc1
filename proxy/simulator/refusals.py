"""Errors as each provider words them."""

from typing import Any, Final

from proxy.simulator.answers import encode
from proxy.simulator.paths import Flavour

#: AGIPower: the type that goes with a status when nothing else is said (its error page).
_AGIPOWER_TYPES: Final = {
    400: "invalid_params", 402: "insufficient_credit", 403: "access_denied",
    404: "model_not_available", 413: "invalid_params", 422: "provider_unprocessable_entity_error",
    429: "rate_limit", 500: "internal_server_error", 502: "no_provider_available",
    503: "provider_error", 520: "provider_internal_server_error",
    524: "provider_internal_server_error",
}  # fmt: skip
_OPENAI_TYPES: Final = {
    400: "invalid_request_error", 401: "authentication_error", 402: "insufficient_quota",
    403: "permission_error", 404: "not_found_error", 429: "rate_limit_error", 500: "server_error",
}  # fmt: skip
_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error",
    403: "permission_error", 404: "not_found_error", 413: "request_too_large",
    429: "rate_limit_error", 500: "api_error", 529: "overloaded_error",
}  # fmt: skip
_GOOGLE_STATUSES: Final = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL",
    503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_SERVER_ERROR: Final = 500


def refusal_type(flavour: Flavour, dialect: str, status: int) -> str:
    """The type of error that a status has by default."""
    if flavour in {Flavour.AGIPOWER, Flavour.VERCEL}:
        return _AGIPOWER_TYPES.get(status, "provider_error")
    if dialect == "messages" or flavour == Flavour.ANTHROPIC:
        return _ANTHROPIC_TYPES.get(
            status, "api_error" if status >= _SERVER_ERROR else "invalid_request_error"
        )
    if dialect == "generate_content" or flavour == Flavour.GOOGLE:
        return _GOOGLE_STATUSES.get(status, "UNKNOWN")
    return _OPENAI_TYPES.get(
        status, "server_error" if status >= _SERVER_ERROR else "invalid_request_error"
    )


def error_object(
    flavour: Flavour,
    dialect: str,
    status: int,
    message: str,
    *,
    type_: str | None = None,
    code: str | None = None,
) -> dict[str, Any]:
    """The JSON document of an error."""
    type_ = type_ or refusal_type(flavour, dialect, status)
    if flavour == Flavour.AGIPOWER:
        return {"error": {"code": code or str(status), "type": type_, "message": message}}
    if flavour == Flavour.VENICE:
        return {"error": message}
    if flavour == Flavour.OPENROUTER:
        return {"error": {"code": status, "message": message, "metadata": {"error_type": type_}}}
    if dialect == "messages":
        request_id = "req_simulated"
        return {
            "type": "error",
            "error": {"type": type_, "message": message},
            "request_id": request_id,
        }
    if dialect == "generate_content":
        name = type_ if type_.isupper() else _GOOGLE_STATUSES.get(status, "UNKNOWN")
        return {"error": {"code": status, "message": message, "status": name}}
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


def error_event(
    flavour: Flavour, dialect: str, message: str, *, type_: str | None, code: str | None
) -> bytes:
    """The data of an error in the middle of a stream."""
    if dialect == "responses":
        return encode(
            {
                "type": "error",
                "code": code or type_ or "server_error",
                "message": message,
                "param": None,
                "sequence_number": 99,
            }
        )
    if dialect == "messages":
        return encode(
            {"type": "error", "error": {"type": type_ or "overloaded_error", "message": message}}
        )
    if dialect == "generate_content":
        return encode(
            {"error": {"code": 503, "message": message, "status": type_ or "UNAVAILABLE"}}
        )
    if flavour in {Flavour.AGIPOWER, Flavour.OPENROUTER}:
        return encode(error_object(flavour, dialect, 502, message, type_=type_, code=code))
    return encode(
        {
            "error": {
                "message": message,
                "type": type_ or "server_error",
                "param": None,
                "code": code,
            }
        }
    )
