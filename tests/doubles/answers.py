"""Answers of an API, held against its OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs


class Answers:
    """What a document says of answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._paths = {
            re.compile(re.sub(r"\{\w+\}", "[^/]+", path)): operations
            for path, operations in document["paths"].items()
        }

    def check(self, method: str, path: str, status: int, body: Any) -> None:
        """Fail unless the document has this answer; whatever it does not have is an error's."""
        responses: dict[str, Any] = {}
        # A path without parameters comes before one that has a parameter in its place.
        for pattern, operations in sorted(
            self._paths.items(), key=lambda item: "+" in item[0].pattern
        ):
            if pattern.fullmatch(path) and method.lower() in operations:
                responses = operations[method.lower()]["responses"]
                break
        if status >= 500 and str(status) not in responses:
            schema: dict[str, Any] = {"$ref": "#/components/schemas/FailureBody"}
        elif not responses:
            assert status in (401, 403, 404, 405, 429), f"{method} {path} is not in the document"
            schema = {"$ref": "#/components/schemas/FailureBody"}
        else:
            assert str(status) in responses, f"{method} {path}: {status} is not in the document"
            schema = responses[str(status)]["content"]["application/json"]["schema"]
        whole = {**schema, "components": self._document["components"]}
        jsonschema_rs.validator_for(whole).validate(body)
