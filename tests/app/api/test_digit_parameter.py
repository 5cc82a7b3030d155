"""`digit=…`: conditional models draw the class that they are asked for, and the answer has the latents that give it."""

import io
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from models.inference.sampler import Sampler
from models.latents import draw_latents
from models.model_folder.read import load_model
from models.networks.conditional import ask_for_class
from tests.app.checks import assert_problem, json_images, pixels


def latents(answer: httpx.Response) -> NDArray[np.float32]:
    return np.array([sample["latent"] for sample in answer.json()["samples"]], dtype=np.float32)


@pytest.mark.parametrize(("model", "classes"), [("digits", 10), ("three", 3)])
def test_every_class(client: httpx.Client, models_dir: Path, model: str, classes: int) -> None:
    loaded = load_model(models_dir / model)
    metadata = loaded.metadata
    sampler = Sampler(loaded.generator, z_dim=metadata.z_dim, image_shape=metadata.image_shape)
    drawn = draw_latents(7, 2, 5, z_dim=metadata.z_dim, prior=metadata.prior)
    for digit in range(classes):
        answer = client.get(f"/v1/samples?seed=7&first=2&n=5&format=json&model={model}&digit={digit}")
        wanted = ask_for_class(drawn, digit, head_starts=np.zeros(classes, np.float32))
        assert latents(answer).tobytes() == wanted.tobytes()
        assert (latents(answer)[:, -classes:].argmax(axis=1) == digit).all()
        assert (json_images(answer.json()) == sampler(wanted)).all()


def test_the_latents_posted_back_give_the_identical_images(client: httpx.Client) -> None:
    answer = client.get("/v1/samples?seed=3&n=20&format=json&model=digits&digit=4")
    posted = client.post("/v1/samples", json={"latents": latents(answer).tolist(), "model": "digits", "format": "json"})
    assert (json_images(posted.json()) == json_images(answer.json())).all()
    assert latents(posted).tobytes() == latents(answer).tobytes()


def test_every_format_and_post(client: httpx.Client) -> None:
    query = "/v1/samples?seed=3&n=300&model=digits&digit=4"
    answer = client.get(f"{query}&format=json")
    images = json_images(answer.json())
    archive = np.load(io.BytesIO(client.get(f"{query}&format=npz").content))
    assert (archive["images"] == images).all()
    assert archive["latents"].tobytes() == latents(answer).tobytes()
    zipped = client.get(f"{query}&format=zip")
    assert "digits-seed3-digit4-0-300.zip" in zipped.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(zipped.content)) as files:
        assert (pixels(files.read("000299.png")) == images[299]).all()
    grid = client.get(f"{query}&padding=0&columns=300")
    assert (np.stack(np.split(pixels(grid.content), 300, axis=1)) == images).all()
    body = {"seed": 3, "n": 300, "model": "digits", "digit": 4, "padding": 0, "columns": 300}
    posted = client.post("/v1/samples", json=body)
    assert posted.content == grid.content
    assert posted.headers["content-location"] == grid.headers["content-location"]


@pytest.mark.parametrize("digit", ["&digit=4", ""])
def test_truncation_scales_all_but_the_ballots(client: httpx.Client, digit: str) -> None:
    query = f"/v1/samples?seed=3&n=4&model=digits{digit}"
    full, half = (client.get(f"{query}&format=json&truncation={psi}") for psi in (1, 0.5))
    assert (latents(half)[:, :-10] == latents(full)[:, :-10] / 2).all()
    assert (latents(half)[:, -10:] == latents(full)[:, -10:]).all()


def test_truncated_images_are_the_same_in_every_answer(client: httpx.Client) -> None:
    query = "/v1/samples?seed=3&n=4&model=digits&digit=4&truncation=0.3"
    listed = client.get(f"{query}&format=json")
    images = json_images(listed.json())
    grid = client.get(f"{query}&padding=0&columns=4&format=png")
    assert (np.stack(np.split(pixels(grid.content), 4, axis=1)) == images).all()
    body = {"seed": 3, "n": 4, "model": "digits", "digit": 4, "truncation": 0.3}
    posted = client.post("/v1/samples", json={**body, "format": "json"})
    assert latents(posted).tobytes() == latents(listed).tobytes()
    assert client.post("/v1/samples", json={**body, "padding": 0, "columns": 4}).content == grid.content
    archive = np.load(io.BytesIO(client.get(f"{query}&format=npz").content))
    assert archive["latents"].tobytes() == latents(listed).tobytes()
    by_latents = {"latents": latents(listed).tolist(), "model": "digits", "format": "json"}
    assert (json_images(client.post("/v1/samples", json=by_latents).json()) == images).all()


@pytest.mark.parametrize("form", ["png", "json", "npz", "zip"])
def test_the_digit_is_in_the_permanent_url_and_in_the_etag(client: httpx.Client, form: str) -> None:
    answers = [
        client.get(f"/v1/samples?seed=3&n=4&model=digits&format={form}{digit}")
        for digit in ("", "&digit=0", "&digit=1", "&digit=9")
    ]
    assert len({answer.headers["etag"] for answer in answers}) == 4
    assert len({answer.content for answer in answers}) == 4
    assert "digit=" not in answers[0].headers["content-location"]
    for answer, digit in zip(answers[1:], (0, 1, 9), strict=True):
        assert f"&digit={digit}&" in answer.headers["content-location"]
        again = client.get(answer.headers["content-location"])
        assert again.content == answer.content
        assert again.headers["etag"] == answer.headers["etag"]
        assert again.headers["cache-control"].endswith("immutable")


def test_a_drawn_seed_takes_a_digit(client: httpx.Client) -> None:
    drawn = client.get("/v1/samples?n=2&model=digits&digit=8")
    assert client.get(drawn.headers["content-location"]).content == drawn.content


@pytest.mark.parametrize("path", ["/v1/samples?", "/v1/interpolations?seeds=1,2&"])
def test_digits_that_are_none(client: httpx.Client, path: str) -> None:
    assert client.get(f"{path}model=three&digit=2").status_code == 200
    assert_problem(
        client.get(f"{path}model=three&digit=3"), 422, parameter="digit", text="three has the classes 0 to 2, not 3"
    )
    assert client.get(f"{path}model=digits&digit=9").status_code == 200
    for digit in ("10", "-1", "x", "1.5", "", "9" * 5000):
        assert_problem(client.get(f"{path}model=digits&digit={digit}"), 422, parameter="digit")
    assert_problem(client.get(f"{path}digit=0"), 422, parameter="digit", text="mnist-conv is not conditional")


def test_latents_stand_in_place_of_a_digit(client: httpx.Client) -> None:
    body = {"latents": [[0.0] * 16], "model": "digits", "digit": 3}
    assert_problem(client.post("/v1/samples", json=body), 422, text="latents cannot be sent together with digit")
    body = {"n": 2, "seed": 1, "model": "three", "digit": 3}
    assert_problem(client.post("/v1/samples", json=body), 422, parameter="digit")
