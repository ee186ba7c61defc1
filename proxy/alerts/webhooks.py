"""What webhooks are sent: a body in their format, and a signature that proves who sent it.

Signed as the Standard Webhooks specification has it: HMAC-SHA256 over `id.timestamp.body`, so that
receivers need no code of their own, and a repetition is known by its id.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Literal

Format = Literal["json", "slack"]

_SECRET_PREFIX: Final = "whsec_"
_ID_CHARACTERS: Final = 24
# What Slack takes for its own markup.
_SLACK_ESCAPES: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))


def receiver_id(url: str) -> str:
    """Return what names a receiver without telling its address, which may hold a secret."""
    return sha256(url.encode()).hexdigest()[:12]


def webhook_id(message_id: str) -> str:
    """Return the id of a message, the same at each attempt."""
    return "msg_" + sha256(message_id.encode()).hexdigest()[:_ID_CHARACTERS]


def body_of(form: Format, alert: Mapping[str, Any], organization: str) -> bytes:
    """Return what is sent of an alert."""
    if form == "slack":
        text = f"{organization}: {alert['text']}"
        for sign, escaped in _SLACK_ESCAPES:
            text = text.replace(sign, escaped)
        return json.dumps({"text": text}).encode()
    document = {
        "type": f"bursar.{alert['topic']}",
        "timestamp": alert["at"],
        "data": {"organization": organization, **alert},
    }
    return json.dumps(document).encode()


def headers_of(
    message_id: str, body: bytes, secret: str, now_s: int
) -> tuple[tuple[str, str], ...]:
    """Return the headers of one attempt; without a secret it is not signed.

    Args:
        message_id: of the outbox.
        body: what is sent, byte for byte.
        secret: `whsec_` and base64, or any text.
        now_s: seconds since 1970; receivers refuse what is too old.
    """
    name = webhook_id(message_id)
    headers = (
        ("Content-Type", "application/json"),
        ("User-Agent", "bursar"),
        ("webhook-id", name),
        ("webhook-timestamp", str(now_s)),
    )
    if not secret:
        return headers
    signed = f"{name}.{now_s}.".encode() + body
    digest = hmac.new(_key(secret), signed, sha256).digest()
    return (*headers, ("webhook-signature", "v1," + base64.b64encode(digest).decode()))


def _key(secret: str) -> bytes:
    if secret.startswith(_SECRET_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
        except binascii.Error:
            # No base64: then it is taken as it is.
            return secret.encode()
    return secret.encode()
