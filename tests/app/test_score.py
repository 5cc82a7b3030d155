"""`/v1/score`: D's opinion over a real socket."""

import base64
import math

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from models.folder import load_model
from models.scorer import Scorer
from tests.app.checks import assert_problem, pixels, png_bytes
from training.data.mnist import read_mnist


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    return read_mnist()[1][:70]


def files(pictures: NDArray[np.uint8]) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("files", (f"{k}.png", png_bytes(picture), "image/png")) for k, picture in enumerate(pictures)]


def test_scores_in_the_order_of_the_files(client: httpx.Client, digits: NDArray[np.uint8], models_dir) -> None:
    answer = client.post("/v1/score?preprocess=none", files=files(digits[:64])).json()
    model = load_model(models_dir / "mnist-conv")
    assert answer["model"] == model.reference
    logits = Scorer(model.discriminator, image_shape=model.metadata.image_shape)(digits[:64])
    assert [result["filename"] for result in answer["results"]] == [f"{k}.png" for k in range(64)]
    for result, logit, digit in zip(answer["results"], logits.tolist(), digits, strict=False):
        assert result["logit"] == logit
        assert result["probability"] == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-12)
        assert result["percentile"] == model.metadata.calibration.percentiles(logit)
        assert (pixels(base64.b64decode(result["input"])) == digit).all()


def test_score_does_not_depend_on_the_neighbours(client: httpx.Client, digits: NDArray[np.uint8]) -> None:
    together = client.post("/v1/score", files=files(digits[:20])).json()["results"]
    for k in (0, 7, 19):
        alone = client.post("/v1/score", files=files(digits[k : k + 1])).json()["results"][0]
        assert alone["logit"] == together[k]["logit"]


@pytest.mark.parametrize("place", ["query", "form"])
def test_model_and_preprocess_as_query_or_field(client: httpx.Client, digits: NDArray[np.uint8], place: str) -> None:
    settings = {"model": "conv", "preprocess": "none"}
    where = {"params": settings} if place == "query" else {"data": settings}
    answer = client.post("/v1/score", files=files(digits[:1]), **where).json()  # type: ignore[arg-type]
    assert answer["model"].startswith("conv@")
    assert (pixels(base64.b64decode(answer["results"][0]["input"])) == digits[0]).all()


def test_rgb_model(client: httpx.Client) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    answer = client.post("/v1/score?model=rgb", files=files(photo[None])).json()
    assert pixels(base64.b64decode(answer["results"][0]["input"])).shape == (32, 32, 3)


@pytest.mark.parametrize("count", [0, 65, 70])
def test_number_of_files(client: httpx.Client, digits: NDArray[np.uint8], count: int) -> None:
    sent = files(digits[:count]) or [("other", ("x", b"x", "text/plain"))]
    assert_problem(client.post("/v1/score", files=sent), 422, parameter="files")


def test_not_a_form(client: httpx.Client) -> None:
    assert_problem(client.post("/v1/score", content=b"hello"), 422, parameter="files")
    assert_problem(client.post("/v1/score", json={"files": []}), 422, parameter="files")
    assert_problem(client.post("/v1/score", data={"files": "text"}), 422, parameter="files")


@pytest.mark.parametrize(
    "head", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x"]
)
def test_broken_form(client: httpx.Client, head: str) -> None:
    response = client.post("/v1/score", content=b"--x\r\nnonsense", headers={"Content-Type": head})
    assert_problem(response, 422, parameter="files")


@pytest.mark.parametrize(("field", "value"), [("preprocess", "both"), ("preprocess", "")])
def test_bad_preprocess(client: httpx.Client, digits: NDArray[np.uint8], field: str, value: str) -> None:
    response = client.post("/v1/score", params={field: value or "NONE"}, files=files(digits[:1]))
    assert_problem(response, 422, parameter=field)


def test_unknown_model(client: httpx.Client, digits: NDArray[np.uint8]) -> None:
    assert_problem(client.post("/v1/score?model=nope", files=files(digits[:1])), 404, parameter="model")


def test_one_bad_file_is_named(client: httpx.Client, digits: NDArray[np.uint8]) -> None:
    sent = [*files(digits[:2]), ("files", ("notes.txt", b"hello", "image/png"))]
    assert_problem(client.post("/v1/score", files=sent), 415, parameter="files", text="notes.txt")


def test_wrong_size_for_none(client: httpx.Client) -> None:
    sent = files(np.zeros((1, 30, 30), dtype=np.uint8))
    assert_problem(client.post("/v1/score?preprocess=none", files=sent), 422, parameter="files", text="30 × 30")


def test_too_many_pixels(client: httpx.Client) -> None:
    sent = files(np.zeros((1, 5000, 8001), dtype=np.uint8))
    assert_problem(client.post("/v1/score", files=sent), 413, parameter="files")


def test_body_beyond_the_limit_by_its_own_word(client: httpx.Client) -> None:
    assert_problem(client.post("/v1/score", content=b"x" * (33 * 2**20)), 413)


def test_body_beyond_the_limit_by_counting(client: httpx.Client) -> None:
    """No Content-Length: the body comes in chunks, and is cut off once it is too long."""
    boundary = {"Content-Type": "multipart/form-data; boundary=b"}
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.png"\r\n\r\n'
    body = (part for part in [head] + [b"x" * 2**20] * 40)
    assert_problem(client.post("/v1/score", content=body, headers=boundary), 413)


def test_file_names_are_shown_as_they_are(client: httpx.Client, digits: NDArray[np.uint8]) -> None:
    sent = [("files", ("ziffer-ä-<b>.png", png_bytes(digits[0]), "image/png"))]
    assert client.post("/v1/score", files=sent).json()["results"][0]["filename"] == "ziffer-ä-<b>.png"
