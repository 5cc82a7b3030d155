"""The rules that hold on every route: for unknown and repeated parameters, null, booleans and types of bodies."""

import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from harness.service import running
from tests.app.checks import assert_problem, drawn_seven

PICTURE = drawn_seven()
LATENT = [0.5] * 16
GETS = {
    "/v1/samples": "n=1&seed=7",
    "/v1/interpolations": "seeds=1,2&steps=2",
    "/v1/models": "",
    "/v1/models/conv": "",
    "/v1/models/conv/history": "",
    "/v1/models/conv/timeline": "",
    "/v1/models/conv/timeline/0.png": "",
    "/healthz": "",
    "/readyz": "",
    "/metrics": "",
    "/openapi.json": "",
}
FILES = {"/v1/score": "files", "/v1/projections": "file"}


def post(client: httpx.Client, path: str, query: str = "", **form: Any) -> httpx.Response:
    """Post a right body, which for uploads may have further fields."""
    if path == "/v1/samples":
        return client.post(f"{path}?{query}", json={"n": 1, "seed": 7})
    return client.post(f"{path}?{query}", files={FILES[path]: PICTURE}, data=form)


@pytest.mark.parametrize("path", GETS)
def test_an_unknown_parameter_of_a_get(client: httpx.Client, path: str) -> None:
    assert client.get(f"{path}?{GETS[path]}").status_code == 200
    for method in ("GET", "HEAD"):
        answer = client.request(method, f"{path}?{GETS[path]}&sede=7")
        assert answer.status_code == 422
        if method == "GET":
            assert_problem(answer, 422, parameter="sede", text="sede: there is no such parameter")


@pytest.mark.parametrize("path", ["/v1/samples", "/v1/score", "/v1/projections"])
def test_an_unknown_parameter_of_a_post(client: httpx.Client, path: str) -> None:
    assert post(client, path).status_code == 200
    assert_problem(post(client, path, "sede=7"), 422, parameter="sede", text="sede: there is no such parameter")
    if path in FILES:
        assert_problem(post(client, path, sede="7"), 422, parameter="sede", text="there is no such parameter")
    else:
        assert_problem(post(client, path, "n=2"), 422, parameter="n", text="there is no such parameter")


@pytest.mark.parametrize("text", ["1_0", "%2B1", "%201", "1%20", "1.0", "1e1", "", "0x1", "%D9%A3", "--1"])
@pytest.mark.parametrize(
    ("path", "name"),
    [("/v1/samples", name) for name in ("n", "seed", "first", "columns", "padding", "scale", "digit")]
    + [("/v1/interpolations", name) for name in ("steps", "columns", "padding", "scale", "digit", "duration_ms")]
    + [("/v1/samples", "truncation")],
)
def test_a_number_that_is_not_in_plain_digits(client: httpx.Client, path: str, name: str, text: str) -> None:
    if name == "truncation" and text in {"1.0", "1e1"}:
        pytest.skip("a number that is no integer may have these")
    others = "&".join(pair for pair in GETS[path].split("&") if not pair.startswith(f"{name}="))
    answer = client.get(f"{path}?{others}&{name}={text}")
    what = "a number" if name == "truncation" else "an integer"
    said = f"{name}: must be {what} in decimal digits, not {unquote(text)!r}"
    assert_problem(answer, 422, parameter=name, text=said)


@pytest.mark.parametrize("seeds", ["1,%202", "1,+2", "%201,2", "1,2_0", "1,%2B2", "1,2.0", "1,", "1,-2"])
def test_seeds_that_are_not_in_plain_digits(client: httpx.Client, seeds: str) -> None:
    """As the pattern of the OpenAPI document says."""
    answer = client.get(f"/v1/interpolations?seeds={seeds}")
    assert_problem(answer, 422, parameter="seeds", text="each seed must be an integer with 0 ≤ seed < 2**53, not ")


def test_a_number_of_json_that_was_rounded(client: httpx.Client) -> None:
    """`9007199254740990.9` is read as the float …991, so nobody knows which number was meant."""
    for number in ("9007199254740990.9", "1000000000000000.0", "1e15", "7.5"):
        body = f'{{"n": 1, "seed": {number}}}'
        answer = client.post("/v1/samples", content=body, headers={"Content-Type": "application/json"})
        assert_problem(
            answer, 422, parameter="seed", text=f"must be an integer in decimal digits, not {float(number)!r}"
        )
    answer = client.post("/v1/samples", json={"n": 1, "seed": 9007199254740991})
    assert answer.headers["x-seed"] == "9007199254740991"


@pytest.mark.parametrize("path", GETS)
def test_a_repeated_parameter_of_a_get(client: httpx.Client, path: str) -> None:
    for repeated in ("seed=7&seed=7", "seeds=1,2&seeds=1,2", "model=conv&m%6fdel=conv", "x=1&x=1"):
        assert client.get(f"{path}?{repeated}").status_code == 422
    if query := GETS[path]:
        name = query.partition("=")[0]
        answer = client.get(f"{path}?{query}&{query.partition('&')[0]}")
        assert_problem(answer, 422, parameter=name, text="it is given 2 times; give it once")


@pytest.mark.parametrize("path", ["/v1/samples", "/v1/interpolations", "/v1/models"])
def test_unknown_and_repeated_parameters_at_once(client: httpx.Client, path: str) -> None:
    name = GETS[path].partition("=")[0] or "name"
    query = f"{GETS[path] or 'name=1'}&sede=7&sede=8&bad=1&{name}=2"
    problem = assert_problem(client.get(f"{path}?{query}"), 422)
    assert {error["parameter"] for error in problem["errors"]} == {name, "sede", "bad"}
    assert problem["detail"].count("there is no such parameter") == (2 if GETS[path] else 3)


@pytest.mark.parametrize("path", ["/v1/score", "/v1/projections"])
def test_a_repeated_parameter_of_a_form(client: httpx.Client, path: str) -> None:
    for answer in (
        post(client, path, "model=conv&model=conv"),
        post(client, path, model=["conv", "conv"]),
        post(client, path, "preprocess=auto&preprocess=none"),
    ):
        assert_problem(answer, 422, text="it is given 2 times; give it once")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"n": 1, "n": 2}', "n"),
        ('{"n": 1, "seed": 7, "\\u006e": 2}', "n"),
        ('{"format": "png", "n": 1, "format": "json"}', "format"),
        ('{"latents": null, "n": 1, "latents": null}', "latents"),
    ],
)
def test_a_repeated_name_of_a_json_body(client: httpx.Client, body: str, name: str) -> None:
    answer = client.post("/v1/samples", content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 422, parameter=name, text="it is given 2 times; give it once")


def test_quotes_within_texts_are_no_repeated_name(client: httpx.Client) -> None:
    answer = client.post("/v1/samples", json={"n": 1, "model": 'a"b"c'})
    assert_problem(answer, 404, parameter="model")


NAMES = ["n", "seed", "first", "model", "columns", "padding", "scale", "truncation", "digit", "format", "latents"]


def test_null_is_not_given(client: httpx.Client) -> None:
    plain = client.post("/v1/samples", json={"seed": 7, "n": 5})
    assert plain.status_code == 200
    for name in NAMES:
        if name not in {"seed", "n"}:
            answer = client.post("/v1/samples", json={"seed": 7, "n": 5, name: None})
            assert (answer.status_code, answer.content) == (200, plain.content), name
    everything = client.post("/v1/samples", json=dict.fromkeys(NAMES) | {"seed": 7, "n": 5})
    assert everything.content == plain.content
    nothing = client.post("/v1/samples", json=dict.fromkeys(NAMES))
    assert (nothing.status_code, "x-seed" in nothing.headers) == (200, True)
    assert_problem(client.post("/v1/samples", json={"sede": None}), 422, parameter="sede")


def test_latents_beside_what_says_nothing(client: httpx.Client) -> None:
    """Generated clients send null, or the default, for what their caller left out."""
    plain = client.post("/v1/samples", json={"latents": [LATENT]})
    assert plain.status_code == 200
    for others in (
        {"seed": None},
        {"seed": None, "first": None, "n": None, "truncation": None, "digit": None},
        {"n": 64},
        {"first": 0, "n": 64, "truncation": 1.0, "digit": None, "seed": None},
    ):
        answer = client.post("/v1/samples", json={"latents": [LATENT]} | others)
        assert (answer.status_code, answer.content) == (200, plain.content), others
    for name, value in {"seed": 7, "first": 1, "n": 1, "truncation": 0.5, "digit": 0}.items():
        answer = client.post("/v1/samples", json={"latents": [LATENT], name: value})
        assert_problem(answer, 422, text="latents cannot be sent together with")


@pytest.mark.parametrize(("text", "value"), [("True", 1), ("tRUE", 1), ("1", 1), ("FALSE", 0), ("false", 0), ("0", 0)])
def test_booleans(client: httpx.Client, text: str, value: int) -> None:
    path = client.get(f"/v1/interpolations?seeds=1,2&steps=2&format=json&loop={text}").json()
    assert len(path["samples"]) == (4 if value else 3)
    for name, field in (("explain", "explanation"), ("steps", "steps")):
        for answer in (post(client, "/v1/score", f"{name}={text}"), post(client, "/v1/score", **{name: text})):
            assert (answer.json()["results"][0][field] is not None) == value


@pytest.mark.parametrize("text", ["yes", "on", "t", "2", "", "null", " true"])
def test_what_is_no_boolean(client: httpx.Client, text: str) -> None:
    said = f"must be true or false, not {text!r}"
    answer = client.get("/v1/interpolations", params={"seeds": "1,2", "loop": text})
    assert_problem(answer, 422, parameter="loop", text=said)
    for name in ("explain", "split", "steps"):
        assert_problem(post(client, "/v1/score", **{name: text}), 422, parameter=name, text=said)


JSON = json.dumps({"n": 1, "seed": 7}).encode()


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/problem+json",
        'application/json;charset="utf-8"',
    ],
)
def test_types_that_are_json(client: httpx.Client, kind: str) -> None:
    assert client.post("/v1/samples", content=JSON, headers={"Content-Type": kind}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/samples", "/v1/score", "/v1/projections"])
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("application/x-www-form-urlencoded", "the header says Content-Type: application/x-www-form-urlencoded"),
        ("text/plain", "the header says Content-Type: text/plain"),
        ("", "the header says Content-Type: "),
        ("nonsense", "the header says Content-Type: nonsense"),
        (None, "there is a body, but no Content-Type"),
    ],
)
def test_another_type_is_told(client: httpx.Client, path: str, kind: str | None, text: str) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    wanted = "multipart/form-data" if path in FILES else "application/json"
    problem = assert_problem(client.post(path, content=JSON, headers=headers), 415, text=text)
    assert problem["type"] == "urn:gan:problem:unsupported-media-type"
    assert f"this route reads {wanted} only; send the body as {wanted}" in problem["detail"]


def test_json_for_a_form_and_a_form_for_json(client: httpx.Client) -> None:
    assert_problem(client.post("/v1/samples", files={"files": PICTURE}), 415, text="multipart/form-data")
    for path in FILES:
        assert_problem(client.post(path, json={}), 415, text="application/json")


def test_json_must_be_utf_8(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json; charset=utf-16"}
    answer = client.post("/v1/samples", content=JSON.decode().encode("utf-16"), headers=headers)
    assert_problem(answer, 415, text="charset=utf-16")


@pytest.mark.parametrize("path", ["/v1/samples", "/v1/score", "/v1/projections"])
@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "identity, gzip"])
def test_a_compressed_body_is_told(client: httpx.Client, path: str, coding: str) -> None:
    if path in FILES:
        request = client.build_request("POST", path, files={FILES[path]: PICTURE})
        body, kind = request.read(), request.headers["content-type"]
    else:
        body, kind = JSON, "application/json"
    headers = {"Content-Type": kind, "Content-Encoding": coding}
    answer = client.post(path, content=gzip.compress(body), headers=headers)
    problem = assert_problem(answer, 415, text="send the body uncompressed")
    assert problem["type"] == "urn:gan:problem:unsupported-media-type"
    assert answer.headers["accept-encoding"] == "identity"
    assert client.post(path, content=body, headers=headers | {"Content-Encoding": "identity"}).status_code == 200


def test_no_body_is_a_missing_one(client: httpx.Client) -> None:
    assert_problem(client.post("/v1/samples"), 422, parameter="body")
    for path, field in FILES.items():
        assert_problem(client.post(path), 422, parameter=field)


def test_pages_have_parameters_of_their_own(client: httpx.Client) -> None:
    assert client.get("/?view=draw&x=1").status_code == 200


def test_the_reload(tmp_path: Path, models_dir: Path) -> None:
    with running(tmp_path, models_dir=models_dir, admin_key="a") as service:
        key = {"Authorization": "Bearer a"}
        assert service.client.post("/admin/reload", headers=key).status_code == 200
        assert_problem(service.client.post("/admin/reload?x=1", headers=key), 422, parameter="x")
