"""What webhooks are sent, and that whoever knows the secret can tell that it is from here."""

from __future__ import annotations

import base64
import hmac
import json
from hashlib import sha256

import pytest

from proxy.alerts.webhooks import body_of, headers_of, receiver_id, webhook_id

ALERT = {
    "topic": "wallet_low",
    "name": "sim|5_hour",
    "text": "'5_hour' of <sim> & co is low",
    "at": "2026-11-23T12:00:00Z",
    "remaining": 5,
}


def test_json_says_everything() -> None:
    document = json.loads(body_of("json", ALERT, "acme"))

    assert document["type"] == "bursar.wallet_low"
    assert document["timestamp"] == "2026-11-23T12:00:00Z"
    assert document["data"] == {"organization": "acme", **ALERT}


def test_slack_gets_a_text_that_none_of_its_markup_is_in() -> None:
    text = json.loads(body_of("slack", ALERT, "acme"))["text"]

    assert text == "acme: '5_hour' of &lt;sim&gt; &amp; co is low"


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_" + base64.b64encode(b"k" * 24).decode(), b"k" * 24),
        ("plain text", b"plain text"),
        ("whsec_not base64", b"whsec_not base64"),
    ],
)
def test_the_signature_is_that_of_the_specification(secret: str, key: bytes) -> None:
    headers = dict(headers_of("m1", b"{}", secret, 1_795_000_000))

    signed = f"{headers['webhook-id']}.1795000000.{{}}".encode()
    expected = base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-timestamp"] == "1795000000"


def test_the_example_of_the_specification() -> None:
    # From the reference implementation's own tests: id, time, secret and body, and what they sign to.
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'

    digest = base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()

    assert digest == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_nothing_is_signed() -> None:
    assert "webhook-signature" not in dict(headers_of("m1", b"{}", "", 1))


def test_the_id_is_the_same_at_each_attempt_and_tells_nothing() -> None:
    assert webhook_id("wallet_low|sim") == webhook_id("wallet_low|sim")
    assert "sim" not in webhook_id("wallet_low|sim")
    assert "secret" not in receiver_id("https://hooks.example/secret")
