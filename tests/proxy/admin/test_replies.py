"""How the admin plane answers."""

from __future__ import annotations

import json

from proxy.admin.replies import Refused, failure, reply
from proxy.admin.schemas import Fault, Money


def test_a_document_is_json_that_no_cache_keeps() -> None:
    answer = reply(Money(nano_usd=1, usd="0.000000001"), status=201)

    assert answer.status == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert json.loads(answer.text or "") == {"nano_usd": 1, "usd": "0.000000001"}


def test_an_error_says_no_more_than_there_is() -> None:
    answer = failure(Refused(404, "not_found", "there is nothing"))

    assert json.loads(answer.text or "") == {
        "error": {"code": "not_found", "message": "there is nothing"}
    }


def test_an_error_names_its_mistakes() -> None:
    mistake = Fault(file="policies.yaml", line=3, field="teams", message="is empty")

    answer = failure(Refused(422, "policy_mistakes", "one mistake", [mistake]))

    assert json.loads(answer.text or "")["error"]["mistakes"] == [
        {"file": "policies.yaml", "line": 3, "field": "teams", "message": "is empty"}
    ]


def test_an_answer_names_its_version_where_it_has_one() -> None:
    assert reply(Money.of(1), etag='"a"').headers["ETag"] == '"a"'
    assert "ETag" not in reply(Money.of(1)).headers


def test_a_refusal_says_when_to_come_again_and_what_is_possible() -> None:
    later = failure(Refused(429, "too_many_attempts", "wait", retry_after_s=6))
    other = failure(Refused(405, "method_not_allowed", "no", allowed=["GET", "HEAD"]))

    assert later.headers["Retry-After"] == "6"
    assert other.headers["Allow"] == "GET, HEAD"
