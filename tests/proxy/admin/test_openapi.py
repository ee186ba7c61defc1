"""The OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from schemathesis import openapi

from proxy.admin.openapi import document
from tests.proxy.admin.conftest import Plane


@pytest.fixture
def described(plane: Plane) -> dict[str, Any]:
    return document(plane.operations)


def parameters(described: dict[str, Any], path: str) -> dict[str, Any]:
    found = described["paths"][path]["get"]["parameters"]
    return {each["name"]: each for each in found}


async def test_it_is_what_the_server_shows(plane: Plane, described: dict[str, Any]) -> None:
    status, body = await plane.ask("/admin/v1/openapi.json")

    assert (status, body) == (200, json.loads(json.dumps(described)))


async def test_others_can_read_it(described: dict[str, Any]) -> None:
    loaded = openapi.from_dict(described)

    assert len(list(loaded.get_all_operations())) == sum(map(len, described["paths"].values()))


async def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    text = json.dumps(described)

    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in schemas


async def test_every_operation_has_a_name_of_its_own(described: dict[str, Any]) -> None:
    names = [
        operation["operationId"]
        for operations in described["paths"].values()
        for operation in operations.values()
    ]

    assert len(set(names)) == len(names)


async def test_a_query_is_described_by_the_model_that_reads_it(described: dict[str, Any]) -> None:
    found = parameters(described, "/admin/v1/calls")

    limit = {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
    assert found["limit"]["schema"] == limit
    assert "refused" in found["state"]["schema"]["enum"]
    assert not found["team"]["required"]
    assert found["team"]["schema"] == {"type": "string", "minLength": 1, "maxLength": 500}
    grouping = parameters(described, "/admin/v1/spend")["group_by"]
    assert (grouping["style"], grouping["explode"]) == ("form", False)
    assert grouping["schema"]["items"]["enum"][0] == "team"


async def test_what_is_in_a_path_is_required(described: dict[str, Any]) -> None:
    assert parameters(described, "/admin/v1/calls/{id}")["id"]["required"]


async def test_a_body_is_required_where_a_field_of_it_is(described: dict[str, Any]) -> None:
    paths = described["paths"]

    assert paths["/admin/v1/keys"]["post"]["requestBody"]["required"]
    assert not paths["/admin/v1/keys/{id}/rotate"]["post"]["requestBody"]["required"]
    assert "requestBody" not in paths["/admin/v1/receipts/run"]["post"]


async def test_headers_are_described(described: dict[str, Any]) -> None:
    rotate = described["paths"]["/admin/v1/keys/{id}/rotate"]["post"]

    assert [each["name"] for each in rotate["parameters"] if each["in"] == "header"] == ["If-Match"]
    assert "ETag" in rotate["responses"]["200"]["headers"]
    assert "412" in rotate["responses"]


async def test_errors_name_their_codes(described: dict[str, Any]) -> None:
    said = described["paths"]["/admin/v1/wallets"]["get"]["responses"]["403"]["description"]

    assert said == "`no_tokens` or `other_teams`"


async def test_what_needs_no_token_says_so(described: dict[str, Any]) -> None:
    paths = described["paths"]

    assert paths["/healthz"]["get"]["security"] == []
    assert "security" not in paths["/admin/v1/keys"]["get"]
    assert described["security"] == [{"token": []}]


async def test_an_error_without_mistakes_fits(described: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/FailureBody", "components": described["components"]}
    validator = jsonschema_rs.validator_for(schema)

    assert validator.is_valid({"error": {"code": "busy", "message": "wait"}})
    assert not validator.is_valid({"error": {"code": "busy"}})


async def test_the_tests_notice_an_answer_that_differs(plane: Plane) -> None:
    with pytest.raises(jsonschema_rs.ValidationError):
        plane.answers.check("GET", "/admin/v1/keys", 200, {"items": [{"id": 1}], "cursor": None})
    with pytest.raises(AssertionError, match="418 is not in the document"):
        plane.answers.check("GET", "/admin/v1/keys", 418, {})
    with pytest.raises(AssertionError, match="/admin/v1/secret is not in the document"):
        plane.answers.check("GET", "/admin/v1/secret", 200, {})
