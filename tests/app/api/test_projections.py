"""`/v1/projections` over a real socket: the answer, its errors, and that nothing else waits for it."""

import asyncio
import base64
import math
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from fastapi import FastAPI
from numpy.typing import NDArray

from app.api.routes.projections import nothing_found
from app.main import create_app
from app.media.uploads import read_upload
from app.settings import Settings
from harness.service import Service
from models.inference.projection import ROUNDS
from models.inference.scorer import Scorer
from models.latents import UNIFORM_BOUND
from models.model_folder.read import load_model
from tests.app.checks import assert_problem, json_images, pixels, png_bytes
from tests.services import running
from training.data.mnist import read_mnist

MODELS = ["mnist-conv", "conv", "digits", "three", "rgb"]  # digits has an encoder


@pytest.fixture(scope="module")
def digit() -> NDArray[np.uint8]:
    image: NDArray[np.uint8] = read_mnist()[1][0]
    return image


def project(
    client: httpx.Client, picture: NDArray[np.uint8], *, name: str = "it.png", **parameters: object
) -> httpx.Response:
    files = {"file": (name, png_bytes(picture), "image/png")}
    return client.post("/v1/projections", files=files, params=parameters)  # type: ignore[arg-type]


def picture_of(answer: dict[str, Any], name: str) -> NDArray[np.uint8]:
    return pixels(base64.b64decode(answer[name]))


def upload(model: str, digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture of the digit that the model takes: RGB for the RGB model, else grey."""
    return np.stack([digit] * 3, axis=2) if model == "rgb" else digit


@pytest.mark.parametrize("model", MODELS)
def test_posted_back_the_latent_gives_the_identical_image(
    client: httpx.Client, digit: NDArray[np.uint8], model: str
) -> None:
    answer = project(client, upload(model, digit), model=model).json()
    back = client.post("/v1/samples", json={"latents": [answer["latent"]], "model": model, "format": "json"}).json()
    assert answer["model"] == back["model"]
    assert answer["model_sha256"] == back["model_sha256"]
    assert len(answer["latent"]) == back["z_dim"]
    assert (json_images(back)[0] == picture_of(answer, "png")).all()
    assert back["samples"][0]["png"] == answer["png"]
    if back["prior"] == "uniform":
        assert max(map(abs, answer["latent"])) <= UNIFORM_BOUND


@pytest.mark.parametrize("model", ["mnist-conv", "three", "rgb"])
def test_what_the_answer_says(client: httpx.Client, digit: NDArray[np.uint8], models_dir: Path, model: str) -> None:
    sent = upload(model, digit)
    answer = project(client, sent, model=model).json()
    loaded = load_model(models_dir / model)
    shape = loaded.metadata.image_shape
    seen, found = picture_of(answer, "input"), picture_of(answer, "png")
    (read,) = read_upload(png_bytes(sent), filename="", shape=shape, preprocess="auto", max_pixels=10**6)
    assert (seen == read.image).all()
    difference = seen.astype(float) - found
    assert answer["distance"]["mean_absolute"] == pytest.approx(np.abs(difference).mean(), abs=1e-12)
    assert answer["distance"]["root_mean_square"] == pytest.approx((difference**2).mean() ** 0.5, abs=1e-12)
    logits = Scorer(loaded.discriminator, image_shape=shape)(np.stack([seen, found])).tolist()
    for score, logit in zip((answer["score"]["input"], answer["score"]["projection"]), logits, strict=True):
        assert score["logit"] == logit
        assert score["probability"] == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-12)
        assert score["percentile"] == loaded.metadata.calibration.percentiles(logit)
    assert answer["steps"] == sum(steps for _, steps in ROUNDS)
    assert 1 <= answer["restarts"] <= ROUNDS[0][0]


def test_score_of_the_input_is_that_of_the_score_route(client: httpx.Client, digit: NDArray[np.uint8]) -> None:
    answer = project(client, digit).json()
    files = [("files", ("it.png", png_bytes(digit), "image/png"))]
    (scored,) = client.post("/v1/score", files=files).json()["results"]
    assert scored["input"] == answer["input"]
    assert {name: scored[name] for name in ("logit", "probability", "percentile")} == answer["score"]["input"]


@pytest.mark.parametrize("model", MODELS)
def test_own_images_are_found_again(client: httpx.Client, model: str) -> None:
    drawn = client.get(f"/v1/samples?seed=3&n=1&format=json&model={model}").json()
    answer = project(client, json_images(drawn)[0], model=model, preprocess="none").json()
    assert (picture_of(answer, "input") == json_images(drawn)[0]).all()
    assert answer["distance"]["mean_absolute"] < 4


@pytest.mark.slow
def test_the_same_upload_gives_the_same_answer(
    client: httpx.Client, digit: NDArray[np.uint8], models_dir: Path, tmp_path: Path
) -> None:
    """The service is asked four times at once, and another process once."""
    with ThreadPoolExecutor(4) as pool:
        answers = [answer.json() for answer in pool.map(lambda _: project(client, digit), range(4))]
    with running(tmp_path, models_dir=models_dir) as other:
        answers.append(project(other.client, digit).json())
    assert other.process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in other.log.read_text()
    assert all(answer == answers[0] for answer in answers)
    assert project(client, digit[::-1]).json()["latent"] != answers[0]["latent"]


@pytest.mark.parametrize("place", ["query", "form"])
def test_model_and_preprocess_as_query_or_field(client: httpx.Client, digit: NDArray[np.uint8], place: str) -> None:
    settings = {"model": "conv", "preprocess": "none"}
    where = {"params": settings} if place == "query" else {"data": settings}
    shifted = np.roll(digit, 3, axis=0)  # what preprocess=auto would move back
    files = {"file": ("it.png", png_bytes(shifted), "image/png")}
    answer = client.post("/v1/projections", files=files, **where).json()  # type: ignore[arg-type]
    assert answer["model"].startswith("conv@")
    assert (picture_of(answer, "input") == shifted).all()


def test_a_photo_becomes_a_digit(client: httpx.Client, digit: NDArray[np.uint8]) -> None:
    photo = 255 - np.pad(digit, 30).repeat(5, axis=0).repeat(5, axis=1)
    assert picture_of(project(client, photo).json(), "input").shape == (28, 28)


@pytest.mark.parametrize("count", [0, 2])
def test_number_of_files(client: httpx.Client, digit: NDArray[np.uint8], count: int) -> None:
    sent: Any = {"files": [("file", ("it.png", png_bytes(digit), "image/png"))] * count}
    if count == 0:
        sent = {"content": b"--x--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}
    problem = assert_problem(client.post("/v1/projections", **sent), 422, parameter="file")
    assert "one image" in problem["detail"]


def test_not_a_form(client: httpx.Client) -> None:
    bodies: Any = ({"content": b"hello"}, {"json": {"file": 1}}, {"data": {"file": "text"}})
    for body in bodies:
        assert_problem(client.post("/v1/projections", **body), 415, text="send the body as multipart/form-data")


def test_not_an_image(client: httpx.Client, digit: NDArray[np.uint8]) -> None:
    for content in (b"hello", b"", png_bytes(digit)[:80]):
        sent = {"file": ("notes.txt", content, "image/png")}
        assert_problem(client.post("/v1/projections", files=sent), 415, parameter="file", text="notes.txt")


def test_too_large(client: httpx.Client) -> None:
    assert_problem(project(client, np.zeros((5000, 8001), np.uint8)), 413, parameter="file")
    assert_problem(client.post("/v1/projections", content=b"x" * (33 * 2**20)), 413)


def test_wrong_size_for_none(client: httpx.Client) -> None:
    response = project(client, np.zeros((30, 30), np.uint8), preprocess="none")
    assert_problem(response, 422, parameter="file", text="30 × 30")


def test_bad_parameters(client: httpx.Client, digit: NDArray[np.uint8]) -> None:
    assert_problem(project(client, digit, preprocess="both"), 422, parameter="preprocess")
    assert_problem(project(client, digit, model="nope"), 404, parameter="model")
    assert_problem(project(client, digit, model="mnist-conv@0123456789ab"), 404, parameter="model")
    assert_problem(client.get("/v1/projections"), 405)


@pytest.mark.parametrize("picture", [np.zeros((28, 28), np.uint8), np.full((28, 28), 255, np.uint8)])
def test_blank_pages(client: httpx.Client, picture: NDArray[np.uint8]) -> None:
    """Nothing is found in a blank page; an image of D's size is taken as it is."""
    answer = project(client, picture, name="page.png")
    problem = assert_problem(answer, 422, parameter="file", text="'page.png': ")
    assert problem["detail"].endswith(
        "send a picture of one digit, or an image of the model's size with preprocess=none"
    )
    assert problem["errors"][0]["value"] == "page.png"
    assert project(client, picture, preprocess="none").status_code == 200


def test_the_reason_is_told_without_the_advice_for_scores() -> None:
    problem = nothing_found("a.jpg", "there are 3 digits; send split=true to score each")
    assert "'a.jpg': there are 3 digits; send a picture of one digit" in problem.detail
    assert "split" not in problem.detail


def test_projections_are_counted(service: Service, digit: NDArray[np.uint8]) -> None:
    before = service.metric("gan_projections_total"), service.metric("gan_projection_seconds_count")
    assert project(service.client, digit).status_code == 200
    assert service.metric("gan_projections_total") == before[0] + 1
    assert service.metric("gan_projection_seconds_count") == before[1] + 1
    assert service.metric("gan_waiting_projections") == 0


def test_no_usable_model(modelless_service: Service, digit: NDArray[np.uint8]) -> None:
    assert_problem(project(modelless_service.client, digit), 503)


@pytest.fixture
def here(models_dir: Path) -> Iterator[FastAPI]:
    """The application in this process, where the test can block its queue."""
    threads = torch.get_num_threads()
    yield create_app(Settings(models_dir=models_dir, max_queue_projections=1))
    torch.set_num_threads(threads)


@asynccontextmanager
async def occupied(app: FastAPI) -> AsyncIterator[tuple[httpx.AsyncClient, threading.Event]]:
    """A client of the application, and an event. The thread for projections is blocked until the event is set."""
    free, busy = threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        assert free.wait(60)

    async with app.router.lifespan_context(app), asyncio.TaskGroup() as tasks:
        tasks.create_task(app.state.gan.projections.run(hold, gone=_never()))
        await asyncio.to_thread(busy.wait, 60)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            try:
                yield client, free
            finally:
                free.set()


async def _never() -> None:
    await asyncio.Event().wait()


def test_one_more_than_may_wait(here: FastAPI, digit: NDArray[np.uint8]) -> None:
    """While one projection runs, a second waits and a third is refused; images and scores are still served."""

    async def post(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v1/projections", files={"file": ("it.png", png_bytes(digit), "image/png")})

    async def scenario() -> None:
        async with occupied(here) as (client, free):
            waits = asyncio.create_task(post(client))
            while "gan_waiting_projections 1.0" not in (await client.get("/metrics")).text:
                await asyncio.sleep(0)
            refused = await post(client)
            assert_problem(refused, 429, text="too many projections wait")
            assert int(refused.headers["Retry-After"]) >= 1
            assert (await client.get("/v1/samples?n=1&seed=1")).status_code == 200
            files = [("files", ("it.png", png_bytes(digit), "image/png"))]
            assert (await client.post("/v1/score", files=files)).status_code == 200
            assert 'gan_requests_shed_total{cause="projections"} 1.0' in (await client.get("/metrics")).text
            assert not waits.done()
            free.set()  # this must come before the application ends, which drops the projections that wait
            assert (await waits).status_code == 200

    asyncio.run(scenario())


def test_a_client_that_goes_while_it_waits(here: FastAPI, digit: NDArray[np.uint8]) -> None:
    """The projection of such a client never begins, and the metrics count it with status 499."""
    form = httpx.Request("POST", "http://here/v1/projections", files={"file": ("it.png", png_bytes(digit))})
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/projections",
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in form.headers.raw],
    }
    messages = [{"type": "http.request", "body": form.read()}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def scenario() -> None:
        async with occupied(here) as (client, _):
            await here(scope, receive, send)
            assert sent[0]["status"] == 499
            metrics = (await client.get("/metrics")).text
            assert 'route="/v1/projections",status="499"} 1.0' in metrics
            while "gan_waiting_projections 0.0" not in (await client.get("/metrics")).text:
                await asyncio.sleep(0)
        assert "gan_projections_total{" not in here.state.gan.metrics.text().decode()

    asyncio.run(scenario())
