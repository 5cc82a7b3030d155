"""Completes the OpenAPI document that FastAPI derives from the routes."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from app.api.openapi.generators import suit_generators
from app.api.schemas.interpolations import InterpolationAnswer
from app.api.schemas.samples import SamplesAnswer
from app.api.strict_route import StrictRoute
from app.middleware.auth import OPEN_PATHS, refused
from app.problems import ProblemDocument, documented

SECURITY_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "A key of GAN_API_KEYS"},
    "password": {
        "type": "http",
        "scheme": "basic",
        "description": "The same key as a password, for browsers. The name may be anything",
    },
}


router = APIRouter(include_in_schema=False, route_class=StrictRoute)


@router.get("/openapi.json")
async def get_document(request: Request) -> Response:
    """The OpenAPI document. If the service has a path prefix, the document names it as the server."""
    prefix: str = request.scope.get("root_path", "")
    servers = {"servers": [{"url": prefix}]} if prefix else {}
    return JSONResponse(request.app.openapi() | servers)


def install(app: FastAPI, *, needs_key: bool) -> None:
    """Make the application complete its OpenAPI document.

    Args:
        app: the application.
        needs_key: whether requests need a key; otherwise the document says that they may have one.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            _add_schemas(document["components"]["schemas"])
            suit_generators(document, root_path=app.root_path)
            _add_security(document, needs_key=needs_key)
            for path in document["paths"].values():
                path |= {method: _in_order(operation) for method, operation in path.items()}
                for operation in path.values():
                    for parameter in operation.get("parameters", []):
                        _show_examples(parameter)
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]


def _add_schemas(schemas: dict[str, Any]) -> None:
    """Add the schemas that no route returns by type: samples come in several formats, problems with any status."""
    for schema in (SamplesAnswer, InterpolationAnswer, ProblemDocument):
        definition = schema.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= definition.pop("$defs", {})
        schemas[schema.__name__] = definition
    # FastAPI's own shape of validation errors is never sent.
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)


def _add_security(document: dict[str, Any], *, needs_key: bool) -> None:
    """Add how a client sends its key, and the answer (401) to a request without one.

    Args:
        document: the OpenAPI document; changed in place.
        needs_key: whether every request needs a key. If not, the document says that a request may also have none.
    """
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    document["security"] = [{name: []} for name in SECURITY_SCHEMES] + ([] if needs_key else [{}])
    refusal = {str(status): response for status, response in documented(refused("Bearer", "Basic")).items()}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in OPEN_PATHS:
                operation["security"] = []
            else:
                operation["responses"] |= refusal


def _in_order(operation: dict[str, Any]) -> dict[str, Any]:
    """Return an operation with its parameters before its responses. FastAPI puts those of `openapi_extra` last."""
    names = list(operation)
    if "parameters" not in names or names.index("parameters") < names.index("responses"):
        return operation
    names.remove("parameters")
    names.insert(names.index("responses"), "parameters")
    return {name: operation[name] for name in names}


def _show_examples(parameter: dict[str, Any]) -> None:
    """Move a parameter's examples out of its schema, where Swagger UI would not find them.

    Swagger UI fills in a single example. For several it shows a menu and fills in the first. The example None stands
    for a parameter that is left out.
    """
    examples = parameter["schema"].pop("examples", [])
    if len(examples) == 1:
        parameter["example"] = examples[0]
    elif examples:
        parameter["examples"] = dict(_named(parameter["name"], value) for value in examples)


def _named(parameter: str, value: object) -> tuple[str, dict[str, object]]:
    if value is None:
        return "not given", {"summary": "not given", "value": None}
    # The name must not be a number: a JavaScript object lists such names before all others.
    return f"{parameter}={value}", {"value": value}
