"""`/v1/score`: D's scores, over a real socket."""

import base64
import io
import math
from collections.abc import Iterable
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from app.media.saliency_overlay import overlay_of
from harness.service import Service
from models.inference.saliency import Explainer
from models.inference.scorer import Scorer
from models.model_folder.read import load_model
from tests.app.checks import assert_problem, drawn_seven, pixels, png_bytes
from training.data.mnist import read_mnist

FIELDS = ["filename", "found", "reason", "box", "logit", "probability", "percentile", "input", "explanation", "steps"]


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    return read_mnist()[1][:70]


def files(pictures: Iterable[NDArray[np.uint8]]) -> list[tuple[str, tuple[str, bytes, str]]]:
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
        assert (result["found"], result["reason"], result["box"]) == (True, None, [0, 0, 28, 28])
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
    for query in ("", "&split=true&steps=true"):
        (result,) = client.post(f"/v1/score?model=rgb{query}", files=files(photo[None])).json()["results"]
        assert pixels(base64.b64decode(result["input"])).shape == (32, 32, 3)
        assert (result["found"], result["reason"], result["box"]) == (True, None, [15, 0, 105, 90])
        assert result["steps"] == ([] if query else None)


def explanation_of(result: dict[str, Any]) -> NDArray[np.uint8]:
    """The pixels of a result's explanation, [H, W, 4]."""
    with Image.open(io.BytesIO(base64.b64decode(result["explanation"], validate=True))) as image:
        assert image.format == "PNG"
        assert image.mode == "RGBA"
        return np.asarray(image).copy()


@pytest.mark.parametrize(
    ("name", "side"), [("mnist-conv", 28), ("conv", 28), ("rgb", 32), ("digits", 28), ("three", 28)]
)
def test_explanations_are_the_gradients_of_what_d_saw(
    client: httpx.Client, digits: NDArray[np.uint8], models_dir, name: str, side: int
) -> None:
    answer = client.post(f"/v1/score?explain=true&model={name}", files=files(digits[:3])).json()
    model = load_model(models_dir / name)
    seen = np.stack([pixels(base64.b64decode(result["input"])) for result in answer["results"]])
    gradients = Explainer(model.discriminator.eval(), image_shape=model.metadata.image_shape)(seen)
    for result, gradient in zip(answer["results"], gradients, strict=True):
        explanation = explanation_of(result)
        assert explanation.shape == (side, side, 4)
        assert explanation[..., 3].max() == 255
        assert (explanation == overlay_of(gradient)).all()


def test_an_explanation_does_not_depend_on_the_neighbours(client: httpx.Client, digits: NDArray[np.uint8]) -> None:
    together = client.post("/v1/score?explain=true&model=conv", files=files(digits[:64])).json()["results"]
    for k in (0, 37, 63):
        alone = client.post("/v1/score?explain=true&model=conv", files=files(digits[k : k + 1])).json()["results"][0]
        assert alone["explanation"] == together[k]["explanation"]


def test_nothing_else_of_an_answer_changes(client: httpx.Client, digits: NDArray[np.uint8]) -> None:
    plain = client.post("/v1/score", files=files(digits[:5]))
    assert [list(result) for result in plain.json()["results"]] == [FIELDS] * 5
    assert [result["explanation"] for result in plain.json()["results"]] == [None] * 5
    for no in ("false", "False", "0"):
        assert client.post("/v1/score", params={"explain": no}, files=files(digits[:5])).content == plain.content
        assert client.post("/v1/score", data={"explain": no}, files=files(digits[:5])).content == plain.content
    explained = client.post("/v1/score?explain=1", files=files(digits[:5]))
    text = explained.text
    for result in explained.json()["results"]:
        text = text.replace(f'"{result["explanation"]}"', "null")
    assert text == plain.text


def test_a_page_without_a_digit(client: httpx.Client, digits: NDArray[np.uint8], service: Service) -> None:
    """It has a result without a score among those of the others, which do not change."""
    blank = np.full((50, 60), 255, dtype=np.uint8)
    together = client.post("/v1/score?explain=true", files=files([digits[0], blank, digits[1]])).json()["results"]
    others = client.post("/v1/score?explain=true", files=files(digits[:2])).json()["results"]
    assert [together[0], together[2] | {"filename": "1.png"}] == others
    assert list(together[1]) == FIELDS
    assert together[1].pop("reason")
    assert together[1] == dict.fromkeys(FIELDS[3:]) | {"filename": "1.png", "found": False}
    before = service.metric("gan_images_scored_total")
    (alone,) = client.post("/v1/score", files=files([blank])).json()["results"]
    assert not alone["found"]
    assert before >= 4
    assert service.metric("gan_images_scored_total") == before  # D has nothing to do
    (exact,) = client.post("/v1/score?preprocess=none", files=files([blank[:28, :28]])).json()["results"]
    assert exact["found"]
    assert exact["logit"] is not None


def test_the_box_is_in_the_pixels_of_the_upload(client: httpx.Client) -> None:
    """The page lies on its side in a large file, and the box is that of the page as a viewer shows it."""
    page = Image.new("L", (3000, 4000), 255)
    ImageDraw.Draw(page).line([(800, 1000), (1800, 1000), (1200, 3000)], fill=0, width=220, joint="curve")
    ink = np.asarray(page) < 128
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = png_bytes(page.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    (result,) = client.post("/v1/score", files={"files": ("photo.jpg", lying)}).json()["results"]
    assert result["found"]
    assert result["box"] == pytest.approx([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], abs=40)


@pytest.mark.parametrize("place", ["query", "form"])
def test_steps_are_small_pictures_with_words(client: httpx.Client, place: str) -> None:
    where: Any = {"params": {"steps": "true"}} if place == "query" else {"data": {"steps": "true"}}
    large = np.asarray(Image.fromarray(pixels(drawn_seven())).resize((1200, 1600)))
    plain = client.post("/v1/score", files=files([large])).json()["results"][0]
    result = client.post("/v1/score", files=files([large]), **where).json()["results"][0]
    assert result | {"steps": None} == plain
    assert len(result["steps"]) >= 2
    for step in result["steps"]:
        assert list(step) == ["name", "words", "png"]
        assert step["words"].endswith(".")
        assert max(pixels(base64.b64decode(step["png"], validate=True)).shape[:2]) <= 256
    assert len({step["name"] for step in result["steps"]}) == len(result["steps"])


def test_steps_of_an_image_that_is_taken_as_it_is(client: httpx.Client, digits: NDArray[np.uint8]) -> None:
    (result,) = client.post("/v1/score?steps=true&preprocess=none", files=files(digits[:1])).json()["results"]
    assert result["steps"] == []


def test_split_of_single_digits_is_their_score(client: httpx.Client, digits: NDArray[np.uint8]) -> None:
    sent = files([pixels(drawn_seven()), np.full((40, 40), 255, np.uint8), digits[0]])
    plain = client.post("/v1/score", files=sent).json()["results"]
    split = client.post("/v1/score?split=true", files=sent).json()["results"]
    assert [result["filename"] for result in split] == ["0.png", "1.png", "2.png"]
    assert [result["found"] for result in split] == [True, False, True]
    assert split[0]["logit"] == plain[0]["logit"]


def test_number_of_results_with_steps(client: httpx.Client, digits: NDArray[np.uint8]) -> None:
    answer = client.post("/v1/score?steps=true&preprocess=none", files=files(digits[:16]))
    assert len(answer.json()["results"]) == 16
    said = "more than 16 results, the most in one answer with steps=true; send fewer files at once"
    refused = client.post("/v1/score?steps=true&preprocess=none", files=files(digits[:17]))
    assert_problem(refused, 422, parameter="files", text=said)


@pytest.mark.parametrize("name", ["split", "steps"])
@pytest.mark.parametrize("bad", ["yes", ""])
@pytest.mark.parametrize("place", ["params", "data"])
def test_bad_switches(client: httpx.Client, digits: NDArray[np.uint8], place: str, bad: str, name: str) -> None:
    response = client.post("/v1/score", files=files(digits[:1]), **{place: {name: bad}})  # type: ignore[arg-type]
    assert_problem(response, 422, parameter=name, text=f"must be true or false, not {bad!r}")


def test_a_long_name_is_cut(client: httpx.Client, digits: NDArray[np.uint8]) -> None:
    sent = [("files", ("n" * 300 + ".png", png_bytes(digits[0]), "image/png"))]
    assert client.post("/v1/score", files=sent).json()["results"][0]["filename"] == "n" * 200


@pytest.mark.parametrize("yes", ["true", "True", "TRUE", "1"])
@pytest.mark.parametrize("place", ["query", "form"])
def test_explain_as_query_or_field(client: httpx.Client, digits: NDArray[np.uint8], place: str, yes: str) -> None:
    where = {"params": {"explain": yes}} if place == "query" else {"data": {"explain": yes}}
    (result,) = client.post("/v1/score", files=files(digits[:1]), **where).json()["results"]  # type: ignore[arg-type]
    assert explanation_of(result).shape == (28, 28, 4)


def test_the_query_goes_before_the_form(client: httpx.Client, digits: NDArray[np.uint8]) -> None:
    answer = client.post("/v1/score?explain=false", files=files(digits[:1]), data={"explain": "true"}).json()
    assert answer["results"][0]["explanation"] is None


@pytest.mark.parametrize("bad", ["yes", "on", "2", "", " true"])
@pytest.mark.parametrize("place", ["params", "data"])
def test_bad_explain(client: httpx.Client, digits: NDArray[np.uint8], place: str, bad: str) -> None:
    response = client.post("/v1/score", files=files(digits[:1]), **{place: {"explain": bad}})  # type: ignore[arg-type]
    assert_problem(response, 422, parameter="explain", text="must be true or false")


def test_explain_is_no_file(client: httpx.Client, digits: NDArray[np.uint8]) -> None:
    sent = [*files(digits[:1]), ("explain", ("true", b"true", "text/plain"))]
    assert_problem(client.post("/v1/score", files=sent), 422, parameter="explain", text="must be text")


@pytest.mark.parametrize("count", [0, 65, 70])
def test_number_of_files(client: httpx.Client, digits: NDArray[np.uint8], count: int) -> None:
    sent: Any = files(digits[:count]) or [("preprocess", (None, b"auto", "text/plain"))]
    assert_problem(client.post("/v1/score", files=sent), 422, parameter="files")


def test_not_a_form(client: httpx.Client) -> None:
    bodies: Any = ({"content": b"hello"}, {"json": {"files": 1}}, {"data": {"files": "text"}})
    for body in bodies:
        assert_problem(client.post("/v1/score", **body), 415, text="send the body as multipart/form-data")


@pytest.mark.parametrize(("path", "field"), [("/v1/score", "files"), ("/v1/projections", "file")])
@pytest.mark.parametrize("last", ["file", "text"])
def test_a_form_that_ends_early(
    client: httpx.Client, digits: NDArray[np.uint8], path: str, field: str, last: str
) -> None:
    """At every place from the last part to the end of the closing boundary: nothing is lost in silence."""
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="a"\r\n\r\n'.encode()
    file = head + png_bytes(digits[0]) + b"\r\n"
    text = b'--b\r\nContent-Disposition: form-data; name="preprocess"\r\n\r\nnone\r\n'
    parts = text + file if last == "file" else file + text
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    whole = parts + b"--b--\r\n"
    for end in ("", "--b--", "--b--\r\n", "--b--\r\nepilogue"):
        answer = client.post(path, content=parts + end.encode(), headers=headers)
        if end:
            assert answer.status_code == 200, end
        else:
            assert_problem(answer, 422, text="The form is not complete")
    for cut in {*range(len(parts) - 12, len(whole) - 2), len(file), len(text), 1, 5}:
        assert_problem(client.post(path, content=whole[:cut], headers=headers), 422, parameter=field)


@pytest.mark.parametrize(
    "head", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x"]
)
def test_broken_form(service: Service, head: str) -> None:
    """The answer says it, and the log says nothing."""
    before = service.log.read_text()
    for content in (b"--x\r\nnonsense", b"nonsense"):
        response = service.client.post("/v1/score", content=content, headers={"Content-Type": head})
        assert_problem(response, 422, parameter="files")
    assert service.log.read_text() == before


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
