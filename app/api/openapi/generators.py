"""Adapts the OpenAPI document to linters and to generators of clients, without changing its meaning."""

from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute

LICENCE = {"name": "MIT", "identifier": "MIT"}
CONTACT = {"name": "The maintainers of gan-service"}


def short_operation_id(route: APIRoute) -> str:
    """Return the name of a route's function: a generated client has a method of this name."""
    return route.name


def suit_generators(document: dict[str, Any], *, root_path: str) -> None:
    """Add what linters and generators ask for to a document, in place.

    Args:
        document: the OpenAPI document.
        root_path: the prefix of all paths; empty if there is none.
    """
    document["info"] |= {"contact": CONTACT, "license": LICENCE}
    document.setdefault("servers", [{"url": root_path or "/"}])
    schemas = document["components"]["schemas"]
    for schema in _objects(document):
        _describe_items(schema)
        if "oneOf" in schema and "discriminator" in schema:
            # Each answer has the property that distinguishes the kinds, although its default would let it be left out.
            for reference in schema["oneOf"]:
                kind = schemas[reference["$ref"].rpartition("/")[2]]
                name = schema["discriminator"]["propertyName"]
                kind["required"] = sorted({*kind.get("required", []), name})


def _describe_items(schema: dict[str, Any]) -> None:
    """Describe a tuple of equal parts as a list of fixed length. Many tools do not know `prefixItems`."""
    parts = schema.get("prefixItems")
    if isinstance(parts, list) and parts and all(part == parts[0] for part in parts):
        schema["items"] = schema.pop("prefixItems")[0]


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON document."""
    if isinstance(value, dict):
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in list(parts):
        yield from _objects(part)
