"""Every size, colour and number of classes goes through every command, every route and every view."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from harness.service import Service
from tests.app.checks import assert_problem, json_images, pixels, png_bytes
from tests.app.playground import open_page
from tests.browser import Visit, needs_chromium
from tests.services import running
from tests.training.support import BARE_GAME, judge_few_samples, tiny_images, write_pngs
from training.cli.command_line import main

pytestmark = pytest.mark.slow

ARCHITECTURES = {
    "mlp": '{name="mlp", generator_widths=[12], discriminator_widths=[8]}',
    "conv": '{name="conv", generator_channels=[6, 4], discriminator_channels=[4, 6]}',
    "photos": '{name="residual", generator_channels=2, discriminator_channels=2, group_width=2}',
}


@dataclass(frozen=True)
class Case:
    """Images of one shape. Without classes, they lie in one folder (1) or in none (0)."""

    name: str
    recipe: str
    side: int
    channels: int
    classes: int

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the folders in alphabetical order; () if they are no classes."""
        return tuple(f"kind {number:03d}" for number in range(self.classes)) if self.classes > 1 else ()


CASES = [
    Case("two-grey", "conv", 16, 1, 2),
    Case("ten-grey", "mlp", 28, 1, 10),
    Case("ten-rgb", "photos", 32, 3, 10),
    Case("many-rgb", "conv", 48, 3, 200),
    Case("one-grey", "mlp", 64, 1, 1),
    Case("two-large-rgb", "photos", 128, 3, 2),
    Case("none-rgb", "conv", 32, 3, 0),
]


def write_data(folder: Path, case: Case) -> Path:
    each = max(2, 44 // max(1, case.classes))
    for number in range(max(1, case.classes)):
        images = tiny_images(each, case.side, channels=case.channels, seed=number)
        write_pngs(folder / f"kind {number:03d}" if case.classes else folder, images)
    return folder


def train(folder: Path, case: Case) -> Path:
    """Run `fit --dry-run`, `fit`, `resume`, `export`, `evaluate` and `sample` on tiny networks."""
    data, run, model = write_data(folder / "data" / case.name, case), folder / case.name, folder / "models" / case.name
    changed = ("z_dim", "conditional", "batch_size")
    settings = [setting for setting in BARE_GAME if not setting.startswith(changed)]
    settings += [f"z_dim={case.classes + 6}", f"conditional={str(case.classes > 1).lower()}", "batch_size=8"]
    settings += [f"architecture={ARCHITECTURES[case.recipe]}", "judge_steps=0", "epochs=1"]
    fit = ["fit", case.recipe, "--data", str(data), "--out", str(run), "--threads", "1", "--set", *settings]
    commands = [
        [*fit, "--dry-run"],
        fit,
        ["resume", str(run), "--epochs", "2"],
        ["export", str(run), "--to", str(model)],
        ["evaluate", str(model), "--data", str(data), "--threads", "1"],
        ["sample", str(model), "--n", "4", "-o", str(folder / f"{case.name}.png")],
        ["sample", str(model), "--n", "4", "--out", str(folder / f"{case.name}-shards")],
    ]
    if case.class_names:
        commands.append([*commands[-2], "--class", case.class_names[-1]])
    for command in commands:
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            code = main(command)
        assert code == 0, f"{command}\n{told.getvalue()}"
    return model


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("matrix")
    (folder / "models").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        judge_few_samples(patch)
        for case in CASES:
            train(folder, case)
    with running(folder, models_dir=folder / "models", default_model=CASES[0].name) as started:
        yield started


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    given: Case = request.param
    return given


def test_what_is_known_of_the_model(matrix: Service, case: Case) -> None:
    answer = matrix.client.get(f"/v1/models/{case.name}").json()
    metadata = answer["metadata"]
    assert metadata["class_names"] == list(case.class_names)
    assert metadata["image_shape"] == {"channels": case.channels, "height": case.side, "width": case.side}
    assert metadata["dataset"] == case.name
    assert "digit" not in answer["card"].partition("## How it was made")[0]


def test_samples_of_every_class(matrix: Service, case: Case) -> None:
    query = f"/v1/samples?model={case.name}&seed=3&n=4"
    listed = matrix.client.get(f"{query}&format=json")
    images = json_images(listed.json())
    assert images.shape[1:3] == (case.side, case.side)
    grid = pixels(matrix.client.get(f"{query}&padding=0&columns=4").content)
    assert (np.concatenate(list(images), axis=1) == grid).all()
    posted = {"model": case.name, "format": "json", "latents": [one["latent"] for one in listed.json()["samples"]]}
    assert (json_images(matrix.client.post("/v1/samples", json=posted).json()) == images).all()
    if not case.class_names:
        assert_problem(matrix.client.get(f"{query}&class=0"), 422, parameter="class", text="not conditional")
        return
    last = case.classes - 1
    by_name = matrix.client.get(f"{query}&class={quote(case.class_names[-1])}")
    assert by_name.status_code == 200
    assert by_name.content == matrix.client.get(f"{query}&class={last}").content
    assert_problem(matrix.client.get(f"{query}&class={last + 1}"), 422, parameter="class")


def test_uploads_paths_and_limits(matrix: Service, case: Case) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    (score,) = matrix.client.post(f"/v1/score?model={case.name}", files={"files": png_bytes(photo)}).json()["results"]
    assert (score["found"], score["box"]) == (True, [25, 0, 175, 150])
    projected = matrix.client.post(f"/v1/projections?model={case.name}", files={"file": png_bytes(photo)})
    assert projected.status_code == 200, projected.text[:300]
    path = matrix.client.get(f"/v1/interpolations?model={case.name}&seeds=1,2&steps=3&format=json")
    assert len(path.json()["samples"]) == 4
    whole = matrix.client.get(f"/v1/samples?model={case.name}&seed=1&n=4096&format=json&columns=64")
    if case.side == 128:
        assert_problem(whole, 422, text="lower scale or n")
    else:
        assert whole.status_code == 200


@needs_chromium
@pytest.mark.parametrize("view", ["draw", "walk", "judge", "learn", "models"])
def test_every_view(matrix: Service, case: Case, browser: Browser, view: str) -> None:
    """A narrow screen: names of classes and large images have the least room there."""
    with Visit(browser, matrix.url, width=360) as visit:
        page = open_page(visit, matrix.url, model=case.name, view=view)
        expect(page.locator("#status")).not_to_have_class("error")
        assert visit.faults == []
        assert visit.overflow() <= 0
        assert visit.serious_findings() == []
