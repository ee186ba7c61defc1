"""JSON answers to requests that are not calls."""

import json

from proxy.simulator.replies import reply, success


def test_a_reply_is_json_with_its_own_headers() -> None:
    response = reply({"a": 1}, status=410, headers={"Sunset": "now"})

    assert (response.status, response.headers["Sunset"]) == (410, "now")
    assert response.content_type == "application/json"


def test_success_has_an_envelope() -> None:
    body = success({"a": 1}).body

    assert isinstance(body, bytes)
    assert json.loads(body) == {"success": True, "data": {"a": 1}}
