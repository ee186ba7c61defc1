"""The OpenAPI document of the admin API, made from the operations that the server has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel, RootModel
from pydantic.json_schema import models_json_schema

from proxy.admin.operations import Operation
from proxy.admin.queries import Query
from proxy.admin.replies import reply
from proxy.admin.schemas import FailureBody

OPENAPI: Final = "3.1.0"
_REFERENCE: Final = "#/components/schemas/{model}"
_TOKEN: Final = "token"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
JSON: Final = "application/json"
_SAYS: Final = (
    "What operators ask of Bursar: budgets, keys, calls, spend, receipts, wallets, policies and the "
    "journal. Money is given twice, in whole nano-dollars and as decimal text. A list is `items` and "
    "a `cursor`, which asks for what comes next; null: there is no more. An error says in `code` for "
    "programs and in `message` for people what is wrong and what to do."
)


class Document(RootModel[dict[str, Any]]):
    """An OpenAPI document."""


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document of these operations."""
    paths: dict[str, dict[str, Any]] = {}
    names, components = _schemas(operations)
    for operation in operations:
        path = paths.setdefault(operation.path, {})
        path[operation.method.lower()] = _operation(operation, names)
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Bursar's admin API",
            # Of the API, as its paths have it: within it, fields are added and none is taken away.
            "version": "1",
            "description": _SAYS,
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {_TOKEN: {"type": "http", "scheme": "bearer"}},
        },
        "security": [{_TOKEN: []}],
    }


#: What a model is called in the document.
_Names = dict[type[BaseModel], dict[str, Any]]


def _schemas(operations: Sequence[Operation]) -> tuple[_Names, dict[str, Any]]:
    """Return a reference to each model, and the schemas that they refer to."""
    # Errors leave out what has its default; the schema in which that is allowed is the other one.
    modes: dict[type[BaseModel], Literal["validation", "serialization"]] = {
        FailureBody: "validation"
    }
    for operation in operations:
        if operation.body is not None:
            modes[operation.body] = "validation"
        if isinstance(operation.answer, type):
            modes[operation.answer] = "serialization"
        modes.update(dict.fromkeys(operation.others.values(), "serialization"))
    found, definitions = models_json_schema(list(modes.items()), ref_template=_REFERENCE)
    names = {model: found[model, mode] for model, mode in modes.items()}
    return names, definitions.get("$defs", {})


def _operation(operation: Operation, names: _Names) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.says.partition(". ")[0].rstrip("."),
        "description": operation.says,
        "parameters": [
            *_path_parameters(operation),
            *_query_parameters(operation.query),
            *_header_parameters(operation),
        ],
        "responses": _responses(operation, names),
    }
    if operation.body is not None:
        described["requestBody"] = {
            # Nothing at all is an empty object.
            "required": any(field.is_required() for field in operation.body.model_fields.values()),
            "content": {JSON: {"schema": names[operation.body]}},
        }
    if operation.open:
        described["security"] = []
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(operation.path)
    ]


def _query_parameters(query: type[Query] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    schema = query.model_json_schema(ref_template=_REFERENCE)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _without_null(described),
            # `group_by=team,day`; nothing else takes more than one value.
            **({"style": "form", "explode": False} if described.get("type") == "array" else {}),
        }
        for name, described in schema.get("properties", {}).items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: what may be left out is not null then, it is not there."""
    kept = {name: value for name, value in schema.items() if name not in ("title", "default")}
    if schema.get("default") is not None:
        kept["default"] = schema["default"]
    options = [each for each in kept.get("anyOf", ()) if each != {"type": "null"}]
    if not options:
        return kept
    if len(options) == 1:
        del kept["anyOf"]
        return {**kept, **options[0]}
    return {**kept, "anyOf": options}


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": header.name,
            "in": "header",
            "required": False,
            "description": header.says,
            "schema": {"type": "string"},
        }
        for header in operation.headers
    ]


def _responses(operation: Operation, names: _Names) -> dict[str, Any]:
    done: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if isinstance(operation.answer, type):
        done["content"] = {JSON: {"schema": names[operation.answer]}}
    else:
        done["content"] = {media: {} for media in operation.answer}
    if operation.tagged:
        said = "Names what this is now; `If-Match` takes it."
        done["headers"] = {"ETag": {"description": said, "schema": {"type": "string"}}}
    responses = {str(operation.status): done}
    for status, model in operation.others.items():
        described = {"description": HTTPStatus(status).phrase}
        responses[str(status)] = {**described, "content": {JSON: {"schema": names[model]}}}
    for status in sorted({refusal.status for refusal in operation.refusals}):
        codes = [refusal.code for refusal in operation.refusals if refusal.status == status]
        responses[str(status)] = {
            "description": " or ".join(f"`{code}`" for code in codes),
            "content": {JSON: {"schema": names[FailureBody]}},
        }
    return responses


class OpenApi:
    """`/admin/v1/openapi.json`."""

    def __init__(self, path: str, operations: Sequence[Operation]) -> None:
        """Take the operations beside this one."""
        self._path = path
        self._document = Document(document([*operations, *self.operations()]))

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return (
            Operation(
                method="GET",
                path=self._path,
                name="get_openapi",
                says="Show this document. It needs no token.",
                handler=self.show,
                query=None,
                answer=Document,
                open=True,
            ),
        )

    async def show(self, request: web.Request) -> web.Response:
        """Show the document."""
        return reply(self._document)
