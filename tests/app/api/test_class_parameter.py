"""`class=…`: a class is asked for by its name or its number, and everything tells the names; on models of own data."""

import base64
import json
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import numpy as np
import pytest

from gan_client import Client
from harness.service import Service
from tests.app.checks import assert_problem, pixels, png_bytes
from tests.app.named_classes import BREEDS, PETS


@pytest.fixture(scope="module")
def pets(named: Service) -> httpx.Client:
    return named.client


def asked(name: str | int) -> str:
    return f"class={quote(str(name), safe='')}"


@pytest.mark.parametrize("path", ["/v1/samples?seed=3&n=5", "/v1/interpolations?seeds=3,4&steps=3"])
@pytest.mark.parametrize("form", ["png", "json"])
def test_a_name_and_a_number_are_one_class_with_one_permanent_url(pets: httpx.Client, path: str, form: str) -> None:
    seen = set()
    for label, name in enumerate(PETS):
        ways = [asked(name), f"digit={label}", *([] if str(label) in PETS else [asked(label)])]
        answers = [pets.get(f"{path}&format={form}&{way}") for way in ways]
        assert [answer.status_code for answer in answers] == [200] * len(ways)
        assert len({answer.content for answer in answers}) == 1
        (url,) = {answer.headers["content-location"] for answer in answers}
        assert parse_qs(urlsplit(url).query)["class"] == [name]
        (tag,) = {answer.headers["etag"] for answer in answers}
        again = pets.get(url)
        assert (again.content, again.headers["etag"]) == (answers[0].content, tag)
        assert again.headers["cache-control"].endswith("immutable")
        assert pets.get(url, headers={"If-None-Match": tag}).status_code == 304
        seen.add(again.content)
    assert len(seen) == len(PETS)


def test_the_latents_choose_the_class(pets: httpx.Client) -> None:
    for label, name in enumerate(PETS):
        samples = pets.get(f"/v1/samples?seed=3&n=20&format=json&{asked(name)}").json()["samples"]
        latents = np.array([sample["latent"] for sample in samples])
        assert (latents[:, -4:].argmax(axis=1) == label).all()


def test_a_model_of_digits_keeps_its_urls(pets: httpx.Client) -> None:
    answer = pets.get("/v1/samples?seed=3&model=mnist&class=4")
    assert "&digit=4&" in answer.headers["content-location"]
    assert "class=" not in answer.headers["content-location"]
    assert answer.content == pets.get("/v1/samples?seed=3&model=mnist&digit=4").content


def test_more_than_ten_classes(pets: httpx.Client) -> None:
    by_name = pets.get("/v1/samples?seed=3&n=4&model=breeds&class=breed+123")
    by_number = pets.get("/v1/samples?seed=3&n=4&model=breeds&class=123")
    assert by_name.content == by_number.content
    assert by_name.headers["content-location"] == by_number.headers["content-location"]
    for wrong, text in {"breed 200": "breed 20", "200": "(or their numbers, 0 to 199), not '200'"}.items():
        answer = pets.get(f"/v1/samples?seed=3&model=breeds&{asked(wrong)}")
        assert_problem(answer, 422, parameter="class", text=text)
        assert len(answer.content) < 2000


@pytest.mark.parametrize("form", ["npz", "zip"])
def test_archives_and_their_file_names(pets: httpx.Client, form: str) -> None:
    answer = pets.get(f"/v1/samples?seed=3&n=4&format={form}&{asked('Käfer & Co?')}")
    assert f'filename="pets-seed3-class3-0-4.{form}"' in answer.headers["content-disposition"]
    assert answer.content == pets.get(f"/v1/samples?seed=3&n=4&format={form}&class=3").content


def test_post(pets: httpx.Client) -> None:
    wanted = pets.get(f"/v1/samples?seed=3&n=4&{asked('cat')}").content
    for value in ("cat", 0, "0", 0.0):
        assert pets.post("/v1/samples", json={"seed": 3, "n": 4, "class": value}).content == wanted
    plain = pets.get("/v1/samples?seed=3&n=4").content
    assert pets.post("/v1/samples", json={"seed": 3, "n": 4, "class": None}).content == plain
    wrongs: list[object] = [True, 1.5, 1e300, "", "x" * 201, [], {}, -1, 4, "bird"]
    for wrong in wrongs:
        assert_problem(pets.post("/v1/samples", json={"seed": 3, "class": wrong}), 422, parameter="class")
    body = {"latents": [[0.0] * 16], "class": "cat"}
    assert_problem(pets.post("/v1/samples", json=body), 422, text="latents cannot be sent together with class")
    assert_problem(pets.post("/v1/samples", json={"class_": "cat"}), 422, parameter="class_")


@pytest.mark.parametrize("path", ["/v1/samples?seed=1", "/v1/interpolations?seeds=1,2"])
def test_what_is_wrong(pets: httpx.Client, path: str) -> None:
    wrong = pets.get(f"{path}&class=bird")
    assert_problem(
        wrong, 422, parameter="class", text="the model pets has the classes cat, dog, black, 10, Käfer & Co?"
    )
    assert_problem(pets.get(f"{path}&class="), 422, parameter="class")
    assert_problem(pets.get(f"{path}&class={'x' * 201}"), 422, parameter="class")
    both = pets.get(f"{path}&class=cat&digit=0")
    assert_problem(both, 422, parameter="class", text="class and digit are both given; send one of them")
    assert_problem(pets.get(f"{path}&class=cat&class=10"), 422, parameter="class", text="given 2 times")
    assert_problem(pets.get(f"{path}&class_=cat"), 422, parameter="class_")


def test_models_tell_their_names(named: Service) -> None:
    listed = {model["name"]: model for model in named.client.get("/v1/models").json()["models"]}
    assert listed["pets"]["class_names"] == list(PETS)
    assert [listed[name]["subject"] for name in ("pets", "breeds", "mnist")] == ["pictures", "pictures", "digits"]
    metadata = named.client.get("/v1/models/breeds").json()["metadata"]
    assert (metadata["name"], metadata["class_names"], metadata["classes"]) == ("breeds", list(BREEDS), 200)
    assert listed["mnist"]["class_names"] == list("0123456789")
    with Client(named.url) as gan:
        by_name = gan.samples(3, seed=5, class_="dog, black").images
        assert (by_name == gan.samples(3, seed=5, class_=1).images).all()
        chunks = gan.iter_samples(3, chunk=2, seed=5, class_="dog, black")
        assert (np.concatenate([chunk.images for chunk in chunks]) == by_name).all()
        assert (
            gan.interpolate([5, 6], steps=2, class_="cat").images[0] == gan.samples(1, seed=5, class_="cat").images
        ).all()
        assert gan.models().models[-1].class_names == list(PETS)


@pytest.mark.parametrize("model", ["pets", "breeds"])
def test_an_upload_for_other_pictures_is_their_middle_square(pets: httpx.Client, model: str) -> None:
    """No digit is looked for: grey levels are not inverted, and nothing is moved."""
    picture = np.random.default_rng(3).integers(0, 256, (32, 56, 3), dtype=np.uint8)
    picture[:, 28:] = 255
    answer = pets.post(f"/v1/score?model={model}", files={"files": ("a.png", png_bytes(picture))})
    (result,) = answer.json()["results"]
    assert (result["found"], result["box"]) == (True, [12, 0, 44, 32])
    seen = pixels(base64.b64decode(result["input"]))
    assert seen[:, -seen.shape[1] // 2 :].min() >= 200


def test_the_list_is_written_into_no_header(pets: httpx.Client) -> None:
    """Names may hold any character: a permanent URL quotes them, and headers stay ASCII."""
    answer = pets.get(f"/v1/samples?seed=1&n=1&{asked('Käfer & Co?')}")
    assert answer.headers["content-location"].isascii()
    assert "class=K%C3%A4fer%20%26%20Co%3F&" in answer.headers["content-location"]
    assert json.loads(pets.get("/v1/models/pets").content)["metadata"]["class_names"][3] == "Käfer & Co?"
