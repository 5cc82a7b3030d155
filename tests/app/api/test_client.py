"""The Python client against the real service: it returns numpy arrays with the same bits as plain HTTP."""

import asyncio
import base64
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from gan_client import AsyncClient, Client, ProblemError, Retries, Samples
from harness.service import Service
from tests.app.checks import drawn_seven, json_images, pixels, png_bytes

Z_DIM = 16
CALLS = ("samples", "generate", "interpolate", "score", "project", "models", "iter_samples")


@pytest.fixture(scope="module")
def gan(service: Service) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


def is_of(array: NDArray[Any], shape: tuple[int, ...], dtype: type[np.generic]) -> bool:
    return array.shape == shape and array.dtype == dtype


def test_samples(gan: Client, client: httpx.Client) -> None:
    samples = gan.samples(5, seed=7, first=3)
    answer = client.get("/v1/samples?n=5&seed=7&first=3&format=json").json()
    assert is_of(samples.images, (5, 28, 28), np.uint8)
    assert is_of(samples.latents, (5, Z_DIM), np.float32)
    assert np.array_equal(samples.images, json_images(answer))
    assert samples.latents.tolist() == [sample["latent"] for sample in answer["samples"]]
    assert (samples.seed, samples.first, samples.model) == (7, 3, answer["model"])


def test_samples_of_a_drawn_seed_can_be_had_again(gan: Client) -> None:
    drawn = gan.samples()
    assert len(drawn.images) == 64
    again = gan.samples(seed=drawn.seed, model=drawn.model)
    assert np.array_equal(again.images, drawn.images)
    assert gan.samples().seed != drawn.seed


def test_the_permanent_url_gives_the_same(gan: Client) -> None:
    samples = gan.samples(3, seed=7)
    assert samples.url is not None
    answer = httpx.get(samples.url)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-model"] == samples.model


def test_every_parameter_of_samples_arrives(gan: Client) -> None:
    plain = gan.samples(4, seed=7, model="digits")
    for other in (
        gan.samples(4, seed=8, model="digits"),
        gan.samples(4, seed=7, model="digits", first=1),
        gan.samples(4, seed=7, model="digits", digit=3),
        gan.samples(4, seed=7, model="digits", truncation=0.5),
        gan.samples(4, seed=7),
    ):
        assert not np.array_equal(other.latents, plain.latents) or other.model != plain.model


def test_colour(gan: Client) -> None:
    assert gan.samples(2, seed=1, model="rgb").images.shape == (2, 32, 32, 3)
    assert gan.interpolate([1, 2], steps=2, model="rgb").images.shape == (3, 32, 32, 3)
    scores = gan.score(gan.samples(2, seed=1, model="rgb").images, model="rgb", preprocess="none")
    assert scores[0].input is not None
    assert scores[0].input.shape == (32, 32, 3)


@pytest.mark.parametrize(("n", "chunk", "sizes"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 4, [3]), (0, 4, [])])
def test_chunks_are_the_whole(gan: Client, n: int, chunk: int, sizes: list[int]) -> None:
    parts = list(gan.iter_samples(n, chunk=chunk, seed=7, first=5))
    assert [len(part.images) for part in parts] == sizes
    assert [part.first for part in parts] == [5 + chunk * place for place in range(len(sizes))]
    if n:
        whole = gan.samples(n, seed=7, first=5)
        assert np.array_equal(np.concatenate([part.images for part in parts]), whole.images)
        assert np.array_equal(np.concatenate([part.latents for part in parts]), whole.latents)


@pytest.mark.parametrize(("n", "chunk"), [(-1, 4), (4, 0), (4, -4)])
def test_chunks_that_cannot_be(gan: Client, n: int, chunk: int) -> None:
    with pytest.raises(ValueError, match=rf"n must be at least 0 and chunk at least 1, not {n} and {chunk}"):
        gan.iter_samples(n, chunk=chunk)  # already at the call


@pytest.mark.parametrize("wrong", [{"n": 1e3}, {"n": "7"}, {"n": True}, {"n": 7, "chunk": 2.0}, {"n": 7, "first": 1.0}])
def test_numbers_of_chunks_that_are_no_integers(gan: Client, wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"^(n|chunk|first) must be an int, not "):
        gan.iter_samples(**wrong)


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("key", ["secret\nkey", "secret\r\nX: y", "secret\0", "secret\tkey", "", " \n"])
def test_a_key_that_cannot_be_is_not_shown(client: type[Client] | type[AsyncClient], key: str) -> None:
    with pytest.raises(ValueError, match=r"^key must be one of the service's keys") as caught:
        client("http://test", key=key)
    assert "secret" not in str(caught.value)


def test_a_line_end_behind_a_key_is_removed() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer secret"
        return httpx.Response(200, json={"default": None, "models": []})

    with Client("http://test", key=" secret\r\n", transport=httpx.MockTransport(answer)) as client:
        assert not client.models().models


def test_chunks_of_a_drawn_seed_have_one_seed_and_version(gan: Client) -> None:
    parts = list(gan.iter_samples(7, chunk=3))
    assert len({(part.seed, part.model) for part in parts}) == 1
    whole = gan.samples(7, seed=parts[0].seed)
    assert np.array_equal(np.concatenate([part.images for part in parts]), whole.images)


def test_generate_gives_the_identical_images(gan: Client) -> None:
    samples = gan.samples(20, seed=7)
    again = gan.generate(samples.latents[3:9], model=samples.model)
    assert np.array_equal(again.images, samples.images[3:9])
    assert np.array_equal(again.latents, samples.latents[3:9])
    assert (again.seed, again.url, again.model) == (None, None, samples.model)
    assert gan.generate([[0.5] * Z_DIM]).images.shape == (1, 28, 28)


def test_interpolate(gan: Client, client: httpx.Client) -> None:
    path = gan.interpolate([7, 8], steps=4, loop=True, mode="linear")
    answer = client.get("/v1/interpolations?seeds=7,8&steps=4&loop=true&mode=linear&format=json").json()
    assert np.array_equal(path.images, json_images(answer))
    assert is_of(path.latents, (8, Z_DIM), np.float32)
    assert np.array_equal(path.images[4], gan.samples(1, seed=8).images[0])
    assert (path.seeds, path.steps, path.mode, path.model) == ([7, 8], 4, "linear", answer["model"])
    assert httpx.get(path.url).json() == answer


def test_score_takes_arrays_bytes_and_paths(gan: Client, tmp_path: Path) -> None:
    images = gan.samples(2, seed=7).images
    (tmp_path / "one.png").write_bytes(png_bytes(images[1]))
    by_array = gan.score(images, preprocess="none")
    others = gan.score([png_bytes(images[0]), tmp_path / "one.png", str(tmp_path / "one.png")], preprocess="none")
    assert [score.filename for score in by_array + others] == ["0.png", "1.png", "0", "one.png", "one.png"]
    for score, image in zip(by_array, images, strict=True):
        assert score.input is not None
        assert np.array_equal(score.input, image)
    assert [score.logit for score in others] == [by_array[k].logit for k in (0, 1, 1)]
    assert by_array[0].model == gan.samples(1).model


def test_score_says_what_the_service_says(gan: Client, client: httpx.Client) -> None:
    image = pixels(drawn_seven())
    (score,) = gan.score([image], explain=True)
    files = [("files", ("0.png", png_bytes(image), "image/png"))]
    (told,) = client.post("/v1/score?explain=true", files=files).json()["results"]
    assert (score.logit, score.probability) == (told["logit"], told["probability"])
    assert told["percentile"] == {
        "real": score.percentile_real,
        "generated": score.percentile_generated,
        "varied": score.percentile_varied,
    }
    assert (score.found, score.reason, list(score.box or ())) == (True, None, told["box"])
    assert score.input is not None
    assert np.array_equal(score.input, pixels(base64.b64decode(told["input"])))
    assert score.explanation is not None
    assert is_of(score.explanation, (28, 28, 4), np.uint8)
    (plain,) = gan.score([score.input], preprocess="none")
    assert (plain.explanation, plain.steps) == (None, None)
    assert plain.box == (0, 0, 28, 28)


def test_score_of_a_page_without_a_digit(gan: Client) -> None:
    seven, blank = gan.score([drawn_seven(), np.full((40, 50), 255, np.uint8)], explain=True)
    assert seven.found
    assert not blank.found
    assert blank.reason
    assert blank.filename == "1.png"
    assert (blank.logit, blank.probability, blank.box) == (None, None, None)
    assert (blank.percentile_real, blank.percentile_generated, blank.percentile_varied) == (None, None, None)
    assert (blank.input, blank.explanation) == (None, None)
    with pytest.raises(ProblemError, match="send a picture of one digit"):
        gan.project(np.full((40, 50), 255, np.uint8))


def test_steps_and_split_of_a_score(gan: Client, client: httpx.Client) -> None:
    (score,) = gan.score([drawn_seven()], steps=True, split=True)
    files = [("files", ("0", drawn_seven(), "image/png"))]
    (told,) = client.post("/v1/score?steps=true", files=files).json()["results"]
    assert score.steps
    for step, other in zip(score.steps, told["steps"], strict=True):
        assert (step.name, step.words) == (other["name"], other["words"])
        assert np.array_equal(step.picture, pixels(base64.b64decode(other["png"])))


def test_project(gan: Client) -> None:
    image = gan.samples(1, seed=7, model="digits").images[0]
    found = gan.project(image, model="digits", preprocess="none")
    assert np.array_equal(gan.generate([found.latent], model=found.model).images[0], found.image)
    assert np.array_equal(found.input, image)
    differences = np.abs(found.image.astype(float) - image)
    assert found.mean_absolute == pytest.approx(differences.mean())
    assert found.root_mean_square == pytest.approx(np.sqrt((differences**2).mean()))
    logits = [score.logit for score in gan.score([found.input, found.image], model="digits", preprocess="none")]
    assert [found.input_logit, found.logit] == pytest.approx(logits, abs=1e-4)


def test_models(gan: Client) -> None:
    models = gan.models()
    assert models.default == "mnist-conv"
    found = {model.name: model for model in models.models}
    assert found["rgb"].ready
    assert found["rgb"].model == gan.samples(1, model="rgb").model
    assert found["rgb"].evaluation == {"value": -1.4}
    assert found["rgb"].game is None
    assert (found["digits"].game or "").startswith("G and D played the relativistic game, with the penalty R1 and ")
    assert not found["empty"].ready
    assert found["empty"].error is not None


def test_a_problem_names_the_parameter(gan: Client) -> None:
    with pytest.raises(ProblemError) as caught:
        gan.samples(0, seed=-1)
    assert caught.value.status == 422
    assert {error.parameter for error in caught.value.errors} == {"n", "seed"}
    with pytest.raises(ProblemError, match="404") as unknown:
        gan.samples(1, model="nope")
    assert unknown.value.type == "urn:gan:problem:unknown-model"
    with pytest.raises(ProblemError) as unread:
        gan.score([b"no image"])
    assert unread.value.status == 415


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((28, 28), np.float32),
        np.zeros(28, np.uint8),
        np.zeros((28, 28, 4), np.uint8),
        np.zeros((1, 28, 28, 3), np.uint8),
    ],
)
def test_an_array_that_is_no_picture(gan: Client, picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"must be \[H, W\] or \[H, W, 3\] uint8, not \["):
        gan.project(picture)


def test_a_list_of_numbers_is_no_picture(gan: Client) -> None:
    with pytest.raises(ValueError, match="must be a uint8 array, a path or bytes, not a list"):
        gan.score([[[1, 2], [3, 4]]])  # type: ignore[list-item]


def test_a_file_name_that_is_not_utf_8(gan: Client, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    path.write_bytes(png_bytes(np.zeros((28, 28), np.uint8)))
    (found,) = gan.score([path], preprocess="none")
    assert found.filename == "?.png"


@pytest.mark.parametrize("one", ["seven.png", b"bytes", Path("seven.png")])
def test_one_path_is_no_list(gan: Client, one: str | bytes | Path) -> None:
    with pytest.raises(TypeError, match="must be an array or a list"):
        gan.score(one)  # type: ignore[arg-type]


def test_latents_that_json_cannot_say(gan: Client) -> None:
    with pytest.raises(ValueError, match="JSON"):
        gan.generate([[float("nan")] * Z_DIM])


def test_a_service_that_is_not_there() -> None:
    waits: list[float] = []
    with Client("http://127.0.0.1:9", retries=Retries(attempts=3), sleep=waits.append) as gan:
        with pytest.raises(httpx.ConnectError):
            gan.models()
        assert len(waits) == 2


def test_asyncio_gives_the_same(service: Service, gan: Client) -> None:
    """Make each call once, and many calls at the same time."""
    image = pixels(drawn_seven())

    async def run() -> None:
        async with AsyncClient(service.url) as one:
            many = await asyncio.gather(*(one.samples(3, seed=seed) for seed in range(20)))
            for seed, samples in enumerate(many):
                assert np.array_equal(samples.images, gan.samples(3, seed=seed).images)
            parts = [part async for part in one.iter_samples(5, chunk=2)]
            assert [len(part.images) for part in parts] == [2, 2, 1]
            assert len({(part.seed, part.model) for part in parts}) == 1
            again = await one.generate(parts[0].latents)
            assert np.array_equal(again.images, parts[0].images)
            assert (await one.interpolate([1, 2])).images.shape == (17, 28, 28)
            (score,) = await one.score([image])
            assert score.logit == gan.score([image])[0].logit
            assert (await one.project(image, model="digits")).image.shape == (28, 28)
            assert await one.models() == gan.models()
            with pytest.raises(ProblemError):
                await one.samples(0)

    asyncio.run(run())


@pytest.mark.parametrize("name", CALLS)
def test_both_clients_take_the_same(name: str) -> None:
    """Both clients have the same parameters, named one by one, and their methods are documented."""
    methods = [getattr(kind, name) for kind in (Client, AsyncClient)]
    signatures = [inspect.signature(method) for method in methods]
    assert list(signatures[0].parameters.values()) == list(signatures[1].parameters.values())
    assert "kwargs" not in signatures[0].parameters
    assert all(method.__doc__ for method in methods)


def test_help_of_a_client_begins_with_its_own_first_parameter(gan: Client) -> None:
    assert list(inspect.signature(gan.samples).parameters)[:2] == ["n", "seed"]


def test_types_are_those_of_the_answers(gan: Client) -> None:
    draw: Callable[[int], Samples] = gan.samples  # mypy checks this line
    assert isinstance(draw(1), Samples)
