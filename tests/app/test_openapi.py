"""The OpenAPI document: the committed one, and examples that run."""

import json
from typing import Any

import httpx
import pytest

from tests.app.service import ROOT

METHODS = ("get", "post")


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/openapi.json").json()
    return answer


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, of[method]) for path, of in document["paths"].items() for method in METHODS if method in of]


def test_served_equals_committed(document: dict[str, Any]) -> None:
    committed = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    assert document == committed, "run `make openapi`"


def test_everything_is_described(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for path, method, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        assert set(operation["tags"]) <= tags, path
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (path, method, parameter["name"])


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in schemas
    assert "HTTPValidationError" not in text


def test_problems_are_documented(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        for status, response in operation["responses"].items():
            if status.startswith("4"):
                assert "application/problem+json" in response["content"], (path, status)


def test_every_example_runs(client: httpx.Client, document: dict[str, Any]) -> None:
    """Each parameter's example by itself, with the examples of the path and of what must be given."""
    for path, method, operation in operations(document):
        if method != "get":
            continue
        parameters = operation.get("parameters", [])
        in_path = {p["name"]: example(p) for p in parameters if p["in"] == "path"}
        required = {p["name"]: example(p) for p in parameters if p["in"] == "query" and p["required"]}
        url = path.format(**in_path)
        assert client.get(url, params=required).status_code == 200, url
        for parameter in (p for p in parameters if p["in"] == "query"):
            value = example(parameter)
            if value is not None:
                given = required | {parameter["name"]: value}
                assert client.get(url, params=given).status_code == 200, (url, parameter["name"])


def test_body_example_runs(client: httpx.Client, document: dict[str, Any]) -> None:
    for body in document["components"]["schemas"]["SamplesBody"]["examples"]:
        assert client.post("/v1/samples", json=body).headers["content-type"] == "image/png"


def example(parameter: dict[str, Any]) -> Any:
    """The example of a parameter, wherever FastAPI put it; None if it has none."""
    schema = parameter["schema"]
    options = [schema, *schema.get("anyOf", [])]
    for place in (parameter, *options):
        if place.get("examples"):
            return place["examples"][0]
    return None
