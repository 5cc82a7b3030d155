"""`/v1/models`: what a model says of itself is what its folder holds."""

import json
import math
from dataclasses import replace
from pathlib import Path

import httpx
import torch

from app.api.routes.models import _no_picture, _summary
from app.inference.catalog import load_catalog
from harness.tiny_models import make_tiny_model_folder
from models.model_folder.read import load_model
from tests.app.checks import assert_problem


def test_list(client: httpx.Client, models_dir: Path) -> None:
    answer = client.get("/v1/models").json()
    assert answer["default"] == "mnist-conv"
    by_name = {model["name"]: model for model in answer["models"]}
    assert set(by_name) == {"conv", "digits", "empty", "mnist-conv", "rgb", "three", "truncated"}
    assert [name for name, model in by_name.items() if not model["ready"]] == ["empty", "truncated"]
    assert all(by_name[name]["error"] for name in ("empty", "truncated"))
    assert by_name["mnist-conv"]["model"] == load_model(models_dir / "mnist-conv").reference
    assert by_name["mnist-conv"]["architecture"] == "mlp"


def test_the_arithmetic_of_g(client: httpx.Client, tmp_path: Path) -> None:
    listed = {model["name"]: model["arithmetic"] for model in client.get("/v1/models").json()["models"]}
    assert (listed["conv"], listed["truncated"]) == ("float32", None)
    make_tiny_model_folder(tmp_path / "quantised", quantised=True)
    catalog = load_catalog(tmp_path, default="quantised", device=torch.device("cpu"))
    served = catalog.models["quantised"]
    has_integer_products = served.sampler.integers is not None
    assert _summary(served, None).arithmetic == ("int8" if has_integer_products else "float32")


def test_the_game(client: httpx.Client) -> None:
    listed = {model["name"]: model["game"] for model in client.get("/v1/models").json()["models"]}
    assert listed["conv"] == (
        "G and D played the game of the 2014 paper (non-saturating loss), without penalties or labels; D took one "
        "step for each step of G."
    )
    assert listed["digits"] == (
        "G and D played the relativistic game, with the penalty R1 and labels of 10 classes; D took one step for each "
        "step of G."
    )
    assert listed["rgb"] is None  # its file does not say it
    assert listed["truncated"] is None
    for name, judge in {"conv": False, "digits": True, "rgb": None}.items():
        metadata = client.get(f"/v1/models/{name}").json()["metadata"]
        assert (metadata["game"], metadata["judge"]) == (listed[name], judge)


def test_one(client: httpx.Client, models_dir: Path) -> None:
    answer = client.get("/v1/models/mnist-conv").json()
    model = load_model(models_dir / "mnist-conv")
    assert answer["metadata"] == model.metadata.model_dump(mode="json") | {"name": "mnist-conv"}
    assert (answer["model"], answer["sha256"], answer["card"]) == (model.reference, model.sha256, model.card)
    assert client.get(f"/v1/models/{model.reference}").json() == answer


def test_history(client: httpx.Client, models_dir: Path) -> None:
    stored = json.loads((models_dir / "mnist-conv" / "history.json").read_text())
    assert client.get("/v1/models/mnist-conv/history").json()["epochs"] == stored["epochs"]


def test_the_history_has_the_values_of_theory_for_its_game(client: httpx.Client) -> None:
    answers = {name: client.get(f"/v1/models/{name}/history").json() for name in ("conv", "digits", "three", "rgb")}
    papers, relativistic = answers["conv"]["optimum"], answers["digits"]["optimum"]
    assert (papers["loss"], papers["output"], papers["value"]) == (math.log(2), 0.5, -math.log(4))
    assert (relativistic["loss"], relativistic["output"], relativistic["value"]) == (math.log(2), None, None)
    assert answers["three"]["optimum"] is answers["rgb"]["optimum"] is None
    assert answers["three"]["game"].startswith("G and D played the hinge game, ")
    assert answers["rgb"]["game"] is None


def test_timeline(client: httpx.Client, models_dir: Path) -> None:
    answer = client.get("/v1/models/mnist-conv/timeline").json()
    assert [picture["epoch"] for picture in answer["pictures"]] == [0, 1, 2]
    for picture in answer["pictures"]:
        response = client.get(picture["url"])
        assert response.headers["content-type"] == "image/png"
        assert response.content == (models_dir / "mnist-conv" / "timeline" / f"{picture['epoch']:05d}.png").read_bytes()
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        again = client.get(picture["url"], headers={"If-None-Match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_timeline_under_a_plain_name_is_revalidated(client: httpx.Client) -> None:
    assert client.get("/v1/models/mnist-conv/timeline/0.png").headers["cache-control"] == "no-cache"


def test_a_timeline_without_pictures(models_dir: Path) -> None:
    model = replace(load_model(models_dir / "mnist-conv"), timeline=())
    told = _no_picture(model, 3).detail
    assert told.endswith("the timeline of mnist-conv has no pictures; ask for the timeline of another model")


def test_timeline_at_another_epoch(client: httpx.Client) -> None:
    assert_problem(client.get("/v1/models/mnist-conv/timeline/3.png"), 404, parameter="epoch", text="0, 1, 2")
    assert_problem(client.get("/v1/models/mnist-conv/timeline/x.png"), 422, parameter="epoch")
    assert_problem(client.get("/v1/models/mnist-conv/timeline/-1.png"), 422, parameter="epoch")
    for other in ("0.0", "+0", "0_0", "00", "%2B0"):  # one picture has one address
        assert_problem(client.get(f"/v1/models/mnist-conv/timeline/{other}.png"), 404, parameter="epoch")
    assert client.get("/v1/models/mnist-conv/timeline/0.png").status_code == 200
