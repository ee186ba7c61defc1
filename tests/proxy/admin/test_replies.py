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
