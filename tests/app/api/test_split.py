"""`/v1/score?split=true` in this process, where the test says which digits a picture shows."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from fastapi import FastAPI
from numpy.typing import NDArray

from app.api.forms import MAX_RESULTS, MAX_RESULTS_WITH_STEPS
from app.main import create_app
from app.media import uploads
from app.media.digit_photo import DigitPhoto, Step
from app.settings import Settings
from tests.app.checks import assert_problem, png_bytes


@pytest.fixture
def app(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FastAPI]:
    """A service for which each picture shows as many digits as its first pixel says; the k-th digit has the box k."""

    def digits_in(picture: NDArray[np.uint8], *, side: int, steps: bool = False) -> tuple[DigitPhoto, ...]:
        told = (Step("ink", "The ink was taken.", picture),) if steps else ()
        if not picture[0, 0]:
            return (DigitPhoto(False, None, None, "there is no ink in the picture, or it is too faint", picture, told),)
        made = [np.full((side, side), 8 * k, dtype=np.uint8) for k in range(picture[0, 0])]
        return tuple(DigitPhoto(True, made[k], (k, 0, k + 1, 9), None, picture, told) for k in range(len(made)))

    threads = torch.get_num_threads()
    monkeypatch.setattr(uploads, "split_digits", digits_in)
    yield create_app(Settings(models_dir=models_dir))
    torch.set_num_threads(threads)


def ask(app: FastAPI, counts: list[int], query: str = "") -> httpx.Response:
    """Score pictures with so many digits each."""

    async def post() -> httpx.Response:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client,
        ):
            pages = [png_bytes(np.full((40, 40), count, dtype=np.uint8)) for count in counts]
            sent = [("files", (f"{place}.png", page, "image/png")) for place, page in enumerate(pages)]
            return await client.post(f"/v1/score?split=true{query}", files=sent)

    return asyncio.run(post())


def test_each_digit_has_a_result_in_reading_order(app: FastAPI) -> None:
    results = ask(app, [3, 0, 1], "&explain=true").json()["results"]
    assert [result["filename"] for result in results] == ["0.png"] * 3 + ["1.png", "2.png"]
    assert [result["found"] for result in results] == [True, True, True, False, True]
    assert [result["box"] for result in results] == [[0, 0, 1, 9], [1, 0, 2, 9], [2, 0, 3, 9], None, [0, 0, 1, 9]]
    assert results[3]["reason"] == "there is no ink in the picture, or it is too faint"
    logits = [result["logit"] for result in results]
    assert len(set(logits[:3])) == 3
    assert logits[3] is None
    assert results[4] == results[0] | {"filename": "2.png"}  # the same digit
    assert [result["explanation"] is None for result in results] == [False, False, False, True, False]


def test_the_most_results_and_one_more(app: FastAPI) -> None:
    assert len(ask(app, [32] * 7 + [31, 0]).json()["results"]) == MAX_RESULTS
    said = f"more than {MAX_RESULTS} results, the most in one answer; send fewer files at once"
    assert_problem(ask(app, [32] * 8 + [0]), 422, parameter="files", text=said)


def test_the_most_results_with_steps_and_one_more(app: FastAPI) -> None:
    results = ask(app, [15, 0], "&steps=true").json()["results"]
    assert [len(result["steps"]) for result in results] == [1] * MAX_RESULTS_WITH_STEPS
    assert_problem(ask(app, [16, 0], "&steps=true"), 422, parameter="files", text="with steps=true; send fewer files")
