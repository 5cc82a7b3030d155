"""`/v1/samples`: every parameter at its limits and one step beyond, every format, and how the format is chosen."""

import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.app.checks import assert_problem, json_images, pixels

LAST = 2**53 - 1


def test_default_is_a_png_grid_of_64(client: httpx.Client) -> None:
    response = client.get("/v1/samples")
    assert response.headers["content-type"] == "image/png"
    assert pixels(response.content).shape == (8 * 30 + 2, 8 * 30 + 2)
    assert 0 <= int(response.headers["x-seed"]) <= LAST
    assert response.headers["x-model"].startswith("mnist-conv@")


def test_two_drawn_seeds_differ(client: httpx.Client) -> None:
    assert client.get("/v1/samples").headers["x-seed"] != client.get("/v1/samples").headers["x-seed"]


def test_drawn_seed_gives_the_same_picture_again(client: httpx.Client) -> None:
    drawn = client.get("/v1/samples?n=4")
    assert client.get(f"/v1/samples?n=4&seed={drawn.headers['x-seed']}").content == drawn.content


@pytest.mark.parametrize(
    "query",
    [
        "n=1",
        "n=4096&padding=0",
        "n=4096&format=json",
        "seed=0",
        f"seed={LAST}",
        "first=0",
        f"first={LAST}&n=1",
        "columns=1",
        "columns=4096",
        "padding=0",
        "padding=64",
        "scale=1",
        "scale=16",
        "truncation=0.001",
        "truncation=1",
        "model=mnist-conv",
        "format=png",
        "format=json",
        "format=npz",
        "format=zip",
        "n=4097&format=npz",
        "n=100000&format=npz&model=conv",
    ],
)
def test_inside_the_limits(client: httpx.Client, query: str) -> None:
    with client.stream("GET", f"/v1/samples?{query}") as response:
        assert response.status_code == 200


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("n=0", "n"),
        ("n=-1", "n"),
        ("n=4097", "n"),
        ("n=4097&format=json", "n"),
        ("n=100001&format=npz", "n"),
        ("n=x", "n"),
        ("n=", "n"),
        ("n=1.5", "n"),
        ("seed=-1", "seed"),
        (f"seed={LAST + 1}", "seed"),
        ("seed=abc", "seed"),
        ("seed=1e400", "seed"),
        (f"seed={'9' * 5000}", "seed"),
        ("first=-1", "first"),
        (f"first={LAST + 1}", "first"),
        ("columns=0", "columns"),
        ("columns=4097", "columns"),
        ("padding=-1", "padding"),
        ("padding=65", "padding"),
        ("scale=0", "scale"),
        ("scale=17", "scale"),
        ("n=4096&scale=16", "scale"),
        ("truncation=0", "truncation"),
        ("truncation=1.01", "truncation"),
        ("truncation=nan", "truncation"),
        ("truncation=inf", "truncation"),
        ("format=gif", "format"),
        ("digit=-1", "digit"),
        ("digit=10", "digit"),
        ("digit=7", "digit"),
        ("N=4", "N"),
        ("colums=4", "colums"),
    ],
)
def test_outside_the_limits(client: httpx.Client, query: str, parameter: str) -> None:
    assert_problem(client.get(f"/v1/samples?{query}"), 422, parameter=parameter)


def test_end_of_the_range(client: httpx.Client) -> None:
    assert_problem(client.get(f"/v1/samples?first={LAST}&n=2"), 422, text="2**53")


@pytest.mark.parametrize("model", ["nope", "mnist-conv@000000000000", "mnist-conv@", "truncated", "../etc", "%00"])
def test_unknown_model(client: httpx.Client, model: str) -> None:
    problem = assert_problem(client.get("/v1/samples", params={"model": model}), 404, parameter="model")
    assert problem["type"] == "urn:gan:problem:unknown-model"


def test_broken_model_says_why(client: httpx.Client) -> None:
    assert_problem(client.get("/v1/samples?model=truncated"), 404, text="truncated")


def test_version_in_the_name(client: httpx.Client) -> None:
    reference = client.get("/v1/samples?n=1").headers["x-model"]
    assert client.get("/v1/samples", params={"n": 1, "model": reference}).status_code == 200


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "image/png"),
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("application/json", "application/json"),
        ("application/json, */*", "application/json"),
        ("image/png;q=0.1, application/json;q=0.9", "application/json"),
        ("text/html, image/avif, */*;q=0.8", "image/png"),
        ("application/zip", "application/zip"),
        ("application/x-npz", "application/x-npz"),
        ("application/octet-stream", "application/x-npz"),
        ("image/png;q=0, */*;q=0.5", "application/json"),
        ("IMAGE/PNG", "image/png"),
    ],
)
def test_accept_decides_without_format(client: httpx.Client, accept: str | None, media_type: str) -> None:
    response = client.get("/v1/samples?n=1", headers={"Accept": accept} if accept else {})
    assert response.headers["content-type"] == media_type
    assert response.headers["vary"] == "Accept"


def test_format_beats_accept(client: httpx.Client) -> None:
    response = client.get("/v1/samples?n=1&format=png", headers={"Accept": "application/json"})
    assert response.headers["content-type"] == "image/png"
    assert "vary" not in response.headers


@pytest.mark.parametrize("accept", ["text/html", "image/png;q=0", "application/json;q=x", ";;,"])
def test_nothing_acceptable(client: httpx.Client, accept: str) -> None:
    assert_problem(client.get("/v1/samples?n=1", headers={"Accept": accept}), 406)


def test_json_holds_what_the_contract_says(client: httpx.Client) -> None:
    answer = client.get("/v1/samples?n=3&seed=7&first=5&format=json").json()
    assert set(answer) == {
        "model",
        "model_sha256",
        "seed",
        "first",
        "prior",
        "z_dim",
        "width",
        "height",
        "channels",
        "samples",
    }
    assert (answer["seed"], answer["first"], answer["prior"], answer["z_dim"]) == (7, 5, "normal", 16)
    assert (answer["width"], answer["height"], answer["channels"]) == (28, 28, 1)
    assert answer["model"] == f"mnist-conv@{answer['model_sha256'][:12]}"
    assert [sample["index"] for sample in answer["samples"]] == [5, 6, 7]
    assert all(len(sample["latent"]) == 16 for sample in answer["samples"])
    assert json_images(answer).shape == (3, 28, 28)


def test_grid_holds_the_images_of_the_json(client: httpx.Client) -> None:
    images = json_images(client.get("/v1/samples?n=5&seed=7&format=json").json())
    grid = pixels(client.get("/v1/samples?n=5&seed=7&columns=3&padding=4&scale=2").content)
    assert grid.shape == ((2 * 32 + 4) * 2, (3 * 32 + 4) * 2)
    for k, image in enumerate(images):
        top, left = (k // 3 * 32 + 4) * 2, (k % 3 * 32 + 4) * 2
        assert (grid[top : top + 56, left : left + 56] == image.repeat(2, axis=0).repeat(2, axis=1)).all()
    assert grid[(32 + 4) * 2 :, (2 * 32) * 2 + 8 :].max() == 0  # the sixth place is empty


def test_lone_image_has_no_border_unless_asked(client: httpx.Client) -> None:
    assert pixels(client.get("/v1/samples?n=1").content).shape == (28, 28)
    assert pixels(client.get("/v1/samples?n=1&padding=2").content).shape == (32, 32)


def test_rgb_model(client: httpx.Client) -> None:
    assert pixels(client.get("/v1/samples?n=4&model=rgb&padding=0").content).shape == (64, 64, 3)
    answer = client.get("/v1/samples?n=2&model=rgb&format=json").json()
    assert (answer["channels"], answer["prior"]) == (3, "uniform")


def test_truncation_scales_the_latents(client: httpx.Client) -> None:
    full = client.get("/v1/samples?n=2&seed=7&format=json").json()
    half = client.get("/v1/samples?n=2&seed=7&format=json&truncation=0.5").json()
    for a, b in zip(full["samples"], half["samples"], strict=True):
        np.testing.assert_allclose(np.array(a["latent"]) / 2, b["latent"], rtol=1e-6)


def test_post_gives_what_get_gives(client: httpx.Client) -> None:
    got = client.get("/v1/samples?n=9&seed=7&first=3&scale=2&format=png")
    posted = client.post("/v1/samples", json={"n": 9, "seed": 7, "first": 3, "scale": 2, "format": "png"})
    assert posted.content == got.content
    assert posted.headers["cache-control"] == "no-store"
    assert posted.headers["content-location"] == got.headers["content-location"]


def test_posted_latents_give_the_identical_images(client: httpx.Client) -> None:
    answer = client.get("/v1/samples?n=40&seed=11&format=json").json()
    latents = [sample["latent"] for sample in answer["samples"]]
    for chosen in (slice(0, 40), slice(17, 18), slice(39, None, -1), slice(5, 25)):
        again = client.post("/v1/samples", json={"latents": latents[chosen], "format": "json"})
        assert (json_images(again.json()) == json_images(answer)[chosen]).all()
        assert "x-seed" not in again.headers
        assert again.json()["seed"] is None


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"latents": [[0.0] * 15]}, "latents"),
        ({"latents": [[0.0] * 17]}, "latents"),
        ({"latents": []}, "latents"),
        ({"latents": [[]]}, "latents"),
        ({"latents": [[0.0] * 16, [0.0] * 15]}, "latents"),
        ({"latents": [[1e300] * 16]}, "latents"),
        ({"latents": [["a"] * 16]}, "latents.0.0"),
        ({"latents": [["1"] * 16]}, "latents.0.0"),
        ({"latents": [[True] * 16]}, "latents.0.0"),
        ({"latents": "x"}, "latents"),
        ({"latents": [[None] * 16]}, "latents.0.0"),
        ({"latents": [[0.0] * 16] * 4097}, "latents"),
        ({"n": "many"}, "n"),
        ({"nn": 1}, "nn"),
        ({"seed": 2**53}, "seed"),
        ({"seed": -1}, "seed"),
        ({"seed": 10**400}, "seed"),
        ({"digit": 3}, "digit"),
    ],
)
def test_bad_body(client: httpx.Client, body: dict[str, Any], parameter: str) -> None:
    assert_problem(client.post("/v1/samples", json=body), 422, parameter=parameter)


@pytest.mark.parametrize("name", ["n", "seed", "first", "columns", "padding", "scale", "truncation", "digit"])
@pytest.mark.parametrize("value", [True, False, "1"])
def test_in_json_neither_texts_nor_truth_values_are_numbers(client: httpx.Client, name: str, value: bool | str) -> None:
    assert_problem(client.post("/v1/samples", json={name: value}), 422, parameter=name, text="should be a number")


def test_whole_numbers_may_be_written_with_a_point(client: httpx.Client) -> None:
    """To JSON Schema, 4.0 is an integer."""
    answers = [client.post("/v1/samples", json={"n": n, "seed": 7}) for n in (4, 4.0)]
    assert answers[0].content == answers[1].content


def test_latents_stand_alone(client: httpx.Client) -> None:
    body = {"latents": [[0.0] * 16], "seed": 3}
    assert_problem(client.post("/v1/samples", json=body), 422, text="together with seed")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"n": NaN}',
        b'{"latents": [[NaN]]}',
        b'{"latents": [[Infinity]]}',
        b'{"n": ' + b"9" * 5000 + b"}",
        b"[" * 5000,
        b'{"latents": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"n": "\\ud800"}',
    ],
)
def test_body_that_is_no_json_object(client: httpx.Client, content: bytes) -> None:
    response = client.post("/v1/samples", content=content, headers={"Content-Type": "application/json"})
    assert_problem(response, 422)


def test_body_of_another_type(client: httpx.Client) -> None:
    assert_problem(
        client.post("/v1/samples", content=json.dumps({"n": 1}), headers={"Content-Type": "text/plain"}), 415
    )


def test_head_is_get_without_the_body(client: httpx.Client) -> None:
    got, head = client.get("/v1/samples?seed=7"), client.head("/v1/samples?seed=7")
    assert head.content == b""
    for name in ("etag", "content-type", "content-location", "x-seed", "x-model"):
        assert head.headers[name] == got.headers[name]
