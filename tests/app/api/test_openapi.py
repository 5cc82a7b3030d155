"""The OpenAPI document: the committed one, and examples that run."""

import base64
import json
import pkgutil
from importlib import import_module
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import BaseModel

from app.api import schemas
from app.api.openapi import examples
from app.problems import ProblemDocument
from harness.repository import ROOT
from harness.service import Service
from tests.app.checks import pixels, png_bytes
from tests.app.conftest import PREFIX
from training.data.mnist import read_mnist

METHODS = ("get", "post")
SHORTENED = {"evaluation", "metrics"}
"""Maps whose examples have only some of the entries."""


@pytest.fixture(scope="module")
def client(bundled: Service) -> httpx.Client:
    """The examples are those of the bundled models."""
    return bundled.client


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/openapi.json").json()
    assert answer["servers"] == [{"url": PREFIX}]
    return answer


@pytest.fixture(scope="module")
def seven() -> bytes:
    """`seven.png`, the upload of the examples: the first image of MNIST's test set."""
    return png_bytes(read_mnist()[1][0])


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, of[method]) for path, of in document["paths"].items() for method in METHODS if method in of]


def test_served_equals_committed(document: dict[str, Any]) -> None:
    committed = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    assert committed.pop("servers") == [{"url": "/"}]
    served = {name: value for name, value in document.items() if name != "servers"}
    assert served == committed, "run `make openapi`"


def test_operations_have_short_names_and_links_lead_to_them(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() and len(name) <= 20 for name in names)
    text = json.dumps(document)
    assert {part.split('"')[0] for part in text.split('"operationId": "')[1:]} == set(names)


def test_what_generators_do_not_know_is_not_there(document: dict[str, Any]) -> None:
    """Lists of fixed length have `items`, and the body of a link is a text with expressions in it."""
    assert "prefixItems" not in json.dumps(document)
    links = [link for _, _, of in operations(document) for link in of["responses"]["200"].get("links", {}).values()]
    bodies = [link["requestBody"] for link in links if "requestBody" in link]
    assert len(bodies) == 4
    for body in bodies:
        filled = body.replace('"{$response.body#/model}"', '"m"').partition("{$response")[0]
        assert filled == '{"latents": ['


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


def test_every_example_runs(client: httpx.Client, document: dict[str, Any], seven: bytes) -> None:
    """Send each example alone, with the examples of the required parameters."""
    for path, method, operation in operations(document):
        parameters = operation.get("parameters", [])
        required = [(p, parameter_examples(p)[0]) for p in parameters if p["required"]]
        for parameter in parameters:
            values = [value for value in parameter_examples(parameter) if value is not None]
            assert values, (path, parameter["name"])
            for value in values:
                if [(parameter, value)] == filled_in(operation):
                    continue  # the next test sends this one
                answer = send(client, path, method, [*required, (parameter, value)], seven)
                assert answer.status_code == 200, (path, parameter["name"], value, answer.text)


def test_what_is_filled_in_gives_the_examples_of_answers(
    client: httpx.Client, document: dict[str, Any], seven: bytes
) -> None:
    for path, method, operation in operations(document):
        content = operation["responses"]["200"]["content"]
        answer = send(client, path, method, filled_in(operation), seven)
        assert answer.status_code == 200, (path, answer.text)
        assert answer.headers["content-type"].partition(";")[0] in content
        if "application/json" in content:
            if len(content) > 1:
                answer = send(client, path, method, filled_in(operation), accept="application/json")
            assert_shows(composed(content["application/json"], document), answer.json(), path)


def test_current_etag_gives_304_and_that_of_the_example_does_not(
    client: httpx.Client, document: dict[str, Any]
) -> None:
    for path, method, operation in operations(document):
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "if-none-match":
                etag = send(client, path, method, filled_in(operation)).headers["etag"]
                given = [*filled_in(operation), (parameter, etag)]
                assert send(client, path, method, given).status_code == 304, path
                assert etag not in parameter_examples(parameter)


def test_body_example_runs(client: httpx.Client, document: dict[str, Any]) -> None:
    for body in document["components"]["schemas"]["SamplesBody"]["examples"]:
        assert client.post("/v1/samples", json=body).headers["content-type"] == "image/png"


def schema_of(name: str) -> type[BaseModel]:
    """The class of that name in the modules of `app.api.schemas`."""
    modules = [import_module(f"{schemas.__name__}.{module.name}") for module in pkgutil.iter_modules(schemas.__path__)]
    found: type[BaseModel]
    (found,) = {getattr(module, name) for module in modules if hasattr(module, name)}
    return found


def test_examples_of_answers_are_valid(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                example = composed(content, document)
                name = content["schema"].get("$ref", "").rpartition("/")[2]
                if name == "ProblemDocument":
                    ProblemDocument.model_validate(example)
                elif name:
                    schema_of(name).model_validate(example)
                else:
                    assert isinstance(example, str), (path, status, media_type)


def test_examples_of_headers_are_those_of_answers(client: httpx.Client, document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        documented = operation["responses"]["200"].get("headers", {})
        columns = [pair for pair in filled_in(operation) if pair[0]["name"] not in {"scale", "loop", "columns"}]
        sent = send(client, path, method, columns).headers if documented else {}
        for name, header in documented.items():
            example, real = header["schema"]["example"], sent[name].removeprefix(PREFIX)
            if name == "ETag":  # which depends on who writes the PNGs
                assert len(example) == len(real)
            else:
                assert str(example) == real, (path, name)


def test_example_of_metrics(client: httpx.Client, document: dict[str, Any]) -> None:
    example = document["paths"]["/metrics"]["get"]["responses"]["200"]["content"]["text/plain"]["example"]
    client.get("/v1/samples")
    lines = client.get("/metrics").text.splitlines()
    for line in example.splitlines():
        assert any(real == line or real.split(" ")[0] == line.split(" ")[0] != "#" for real in lines), line


def test_examples_of_problems_are_what_is_answered(client: httpx.Client, document: dict[str, Any]) -> None:
    text = {"accept": "text/html"}
    no_image = b"a note"
    provoked = {
        ("/v1/samples", "get"): [
            client.get("/v1/samples?model=cat"),
            client.get("/v1/samples", headers=text),
            client.get("/v1/samples?n=0"),
        ],
        ("/v1/samples", "post"): [
            client.post("/v1/samples", json={"model": "cat"}),
            client.post("/v1/samples", json={}, headers=text),
            client.post("/v1/samples", json={"n": 0}),
            client.post("/v1/samples", data={"n": 0}),
        ],
        ("/v1/interpolations", "get"): [
            client.get("/v1/interpolations?seeds=7,8&model=cat"),
            client.get("/v1/interpolations?seeds=7,8", headers=text),
            client.get("/v1/interpolations?seeds=7,8&steps=0"),
        ],
        ("/v1/score", "post"): [
            client.post("/v1/score?model=cat", files={"files": no_image}),
            client.post("/v1/score", files={"files": ("notes.txt", no_image)}),
            client.post("/v1/score"),
        ],
        ("/v1/projections", "post"): [
            client.post("/v1/projections?model=cat", files={"file": no_image}),
            client.post("/v1/projections", files={"file": ("notes.txt", no_image)}),
            client.post("/v1/projections"),
        ],
    }
    for path in (path for path in document["paths"] if "{name}" in path):
        provoked[path, "get"] = [client.get(path.format(name=name, epoch=0)) for name in ("cat", examples.MODEL * 11)]
    for (path, method), answers in provoked.items():
        responses = document["paths"][path][method]["responses"]
        for answer in answers:
            content = responses[str(answer.status_code)]["content"][answer.headers["content-type"]]
            assert without_nulls(content["example"]) == without_nulls(answer.json()), (path, method)
        cheap = {status for status in responses if status in {"404", "406", "415", "422"}}
        assert {str(answer.status_code) for answer in answers} == cheap, (path, method)


def test_pictures_of_descriptions(client: httpx.Client, document: dict[str, Any]) -> None:
    """The address of a picture has no slash in front, so it works behind any prefix; a text can replace the picture."""
    found = 0
    for _, _, operation in operations(document):
        for part in operation["description"].split("![")[1:]:
            words, _, address = part.partition("](")
            address = address.partition(")")[0]
            assert words
            assert client.get(f"{PREFIX}/{address}").headers["content-type"] == "image/png"
            found += 1
    assert found >= 2


def parameter_examples(parameter: dict[str, Any]) -> list[Any]:
    """The examples of a parameter, the one first that Swagger UI fills in; None leaves the parameter out."""
    if "example" in parameter:
        return [parameter["example"]]
    return [example["value"] for example in parameter.get("examples", {}).values()]


def filled_in(operation: dict[str, Any]) -> list[tuple[dict[str, Any], Any]]:
    """Each parameter with what Swagger UI fills in for it."""
    pairs = [(parameter, parameter_examples(parameter)[0]) for parameter in operation.get("parameters", [])]
    return [pair for pair in pairs if pair[1] is not None]


def send(
    client: httpx.Client,
    path: str,
    method: str,
    given: list[tuple[dict[str, Any], Any]],
    seven: bytes = b"",
    *,
    accept: str = "*/*",
) -> httpx.Response:
    """A request with these parameters; a body, where there is one, is the documented one or an upload."""
    of: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {"accept": accept}}
    for parameter, value in given:
        of[parameter["in"]][parameter["name"]] = value
    body: dict[str, Any] = {}
    if path in {"/v1/score", "/v1/projections"}:
        body["files"] = {"files" if path == "/v1/score" else "file": ("seven.png", seven)}
    elif method == "post":
        body["json"] = {"n": 16, "seed": 7} | ({"format": "json"} if "json" in accept else {})
    return client.request(method, path.format(**of["path"]), params=of["query"], headers=of["header"], **body)


def composed(content: dict[str, Any], document: dict[str, Any]) -> Any:
    """The example of a content as Swagger UI shows it: its own, or one made of those of its schema's fields."""
    return content["example"] if "example" in content else of_schema(content["schema"], document)


def of_schema(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return of_schema(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    if schema.get("type") == "object" and "properties" in schema:
        return {name: of_schema(field, document) for name, field in schema["properties"].items()}
    if schema.get("type") == "array":
        return [of_schema(schema["items"], document)]
    return pytest.fail(f"no example: {schema}")


def assert_shows(example: Any, real: Any, where: str) -> None:
    """Check that an example is the real answer. Lists may be shorter, and numbers may differ on other processors."""
    field = where.rpartition(".")[2]
    if isinstance(example, dict):
        left_out = {name for name in real if name not in example and real[name] is not None}
        assert not left_out or field in SHORTENED, (where, left_out)
        for name, value in example.items():
            assert_shows(value, real[name], f"{where}.{name}")
    elif isinstance(example, list):
        rest = iter(real)
        for value in example:
            assert any(shows(value, candidate, where) for candidate in rest), (where, value)
        assert bool(example) == bool(real), where
    else:
        assert shows_value(example, real, field), (where, example, real)


def shows_value(example: Any, real: Any, field: str) -> bool:
    match field:
        case "png" | "input":
            differences = pixels(base64.b64decode(example)).astype(int) - pixels(base64.b64decode(real))
            return bool(np.abs(differences).max() <= 2)
        case "explanation" if example is None:  # it is asked for: `explain=true` is filled in
            return True
        case "card":
            return str(real).startswith(example)
        case "url":
            return bool(example == real.removeprefix(PREFIX))
        case "arithmetic" if real == "float32":  # "int8" needs a processor with integer products
            example = example and "float32"
        case "steps" if example is not None:  # those of a search depend a little on the processor
            return bool(example == pytest.approx(real, abs=3))
    return bool(example == (pytest.approx(real, rel=0.01, abs=0.01) if isinstance(example, float) else real))


def without_nulls(value: Any) -> Any:
    """FastAPI leaves nulls out of what it documents of a route."""
    if isinstance(value, dict):
        return {name: without_nulls(entry) for name, entry in value.items() if entry is not None}
    return [without_nulls(entry) for entry in value] if isinstance(value, list) else value


def shows(example: Any, real: Any, where: str) -> bool:
    try:
        assert_shows(example, real, where)
    except AssertionError:
        return False
    return True
