"""Clusters in the place of labels: k-means, and a whole run of a game that has them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.latents import draw_latents
from models.model_folder.read import load_model
from models.networks.conditional import ballots_of, labels_of
from tests.training.support import (
    TINY_MLP,
    make_config,
    play,
    sets,
    tiny_dataset,
    tiny_images,
    tiny_recipe,
    write_npz,
    write_pngs,
)
from training.cli.command_line import main
from training.config import RunConfig
from training.data import clusters
from training.data.clusters import COMPONENTS, k_means, principal_components, with_clusters
from training.data.dataset import Dataset
from training.errors import RecipeError
from training.gan.game import Game
from training.run.folder import RunFolder

CLUSTERED = ("clusters=3", "z_dim=7")


def blobs(sizes: tuple[int, ...], *, d: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return points around far-apart centres, in a random order, and the blob of each."""
    rng = np.random.default_rng(seed)
    of = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return rng.normal(0, 20, (len(sizes), d))[of] + rng.normal(0, 0.1, (len(of), d)), of


def test_blobs_are_found():
    points, blob = blobs((30, 5, 80, 12))
    found = k_means(points, 4)
    assert {len(set(blob[found == cluster])) for cluster in range(4)} == {1}
    assert {len(set(found[blob == one])) for one in range(4)} == {1}
    assert found.dtype == np.int64


def test_no_cluster_is_empty():
    points, _ = blobs((3, 200), d=2)  # many clusters for two blobs: some may lose all their points on the way
    assert set(k_means(points, 40)) == set(range(40))


def test_components_are_ordered_and_keep_distances():
    pixels = np.random.default_rng(1).integers(0, 256, (40, 30), dtype=np.uint8)
    all_of_them = principal_components(pixels, 30)
    gram = ((pixels - pixels.mean(axis=0)) / 255) @ ((pixels - pixels.mean(axis=0)) / 255).T
    np.testing.assert_allclose(all_of_them @ all_of_them.T, gram, atol=1e-9)
    variances = all_of_them.var(axis=0)
    assert (np.diff(variances) <= 1e-9).all()
    assert principal_components(pixels, COMPONENTS).shape == (40, 30)
    assert principal_components(pixels, 4).shape == (40, 4)


def test_labels_have_no_effect():
    plain = tiny_dataset(60)
    labelled = replace(plain, labels=torch.arange(60) % 2, class_names=("cat", "dog"))
    of_plain, of_labelled = with_clusters(plain, 5), with_clusters(labelled, 5)
    assert of_plain.labels is not None
    assert of_labelled.labels is not None
    assert torch.equal(of_plain.labels, of_labelled.labels)
    assert of_labelled.classes == 5
    assert of_labelled.class_shares().sum() == pytest.approx(1)


def same_images(different: int) -> Dataset:
    """Return 20 training images, of which some are equal."""
    data = tiny_dataset(20)
    images = data.images[torch.arange(20) % different]
    return Dataset("same", images, data.held_out, data.shape)


@pytest.mark.parametrize(
    ("different", "clusters", "advice"),
    [(4, 5, "clusters=2 or another number up to 4`"), (20, 50, "clusters=2 or another number"), (1, 5, "clusters=0`")],
)
def test_more_clusters_than_different_images(different: int, clusters: int, advice: str):
    message = f"clusters is {clusters}, but there are only {different} different images to train on: .*{advice}"
    with pytest.raises(RecipeError, match=message):
        with_clusters(same_images(different), clusters)


@pytest.mark.parametrize("different", [5, 7, 20])
def test_as_many_clusters_as_different_images(different: int):
    found = with_clusters(same_images(different), different)
    assert found.classes == different
    assert found.labels is not None
    assert len(found.labels.unique()) == different
    assert len(found.class_shares()) == different


def test_components_of_large_images_are_nearly_exact(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(2)
    kinds = rng.integers(0, 256, (6, 300))
    pixels = np.clip(kinds[rng.integers(0, 6, 80)] * 0.8 + rng.integers(0, 50, (80, 300)), 0, 255).astype(np.uint8)
    exact = principal_components(pixels, 5)
    monkeypatch.setattr(clusters, "_EXACT", 100)
    monkeypatch.setattr(clusters, "_CHUNK", 33)  # axes of some images, coordinates in parts
    close = principal_components(pixels, 5)
    assert close.shape == exact.shape
    between = [((c[:, None] - c) ** 2).sum(axis=2) for c in (exact, close)]
    assert np.corrcoef(between[0].ravel(), between[1].ravel())[0, 1] > 0.98


@pytest.mark.parametrize("dry", [False, True])
def test_too_many_clusters_are_told_before_the_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dry: bool
):
    monkeypatch.chdir(tmp_path)
    write_pngs(tmp_path / "pictures", tiny_images(25))
    fit = ["fit", "conv-unlabelled", "--data", "pictures", "--out", "run", "--set", "batch_size=8"]
    assert main([*fit, *(["--dry-run"] if dry else [])]) == 1
    error = capsys.readouterr().err
    assert "clusters is 50, but there are only 23 different images to train on: use `--set clusters=2" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("conditional=true",), "clusters is 3, and clusters take the place of labels, .*conditional=false or cluster"),
        (("clusters=7",), "clusters is 7 and z_dim 7; .*set z_dim=71"),
        (("clusters=1",), "clusters is 1 and z_dim 7; clusters must be 0, or from 2"),
        (("packing=3",), "packing is 3, but a game with clusters needs packing=1"),
        (("clusters=1001",), "clusters"),
    ],
)
def test_settings_that_do_not_go_together(settings: tuple[str, ...], message: str):
    with pytest.raises(RecipeError, match=message):
        tiny_recipe("mlp", *CLUSTERED, *settings)


@pytest.mark.parametrize("labels", [False, True])
def test_a_run_with_clusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, labels: bool):
    """No class can be asked of the model, and its clusters are as frequent as in the data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_DIR", "/dev/null")
    if labels:
        for label, (name, n) in enumerate((("cats", 30), ("dogs", 20))):
            write_pngs(tmp_path / "pets" / name, tiny_images(n, seed=label))
    data = "pets" if labels else str(write_npz(tmp_path / "pictures.npz", tiny_images(50)))
    settings = [*TINY_MLP, *CLUSTERED, "judge_steps=3", "encoder_steps=3"]
    fit = ["fit", "mlp", "--data", data, "--epochs", "2", "--threads", "1", *sets(settings), "--out", "run"]
    assert main(fit) == 0
    assert main(["export", "run", "--to", "model"]) == 0
    model = load_model(tmp_path / "model")
    metadata = model.metadata
    assert (metadata.classes, metadata.clusters, metadata.ballots) == (0, 3, 3)
    assert metadata.game is not None
    assert "3 clusters of the images in the place of labels" in metadata.game
    assert "labels of" not in metadata.game
    whole, short = (model.draw_latents(5, 0, 50, truncation=psi) for psi in (1.0, 0.5))
    np.testing.assert_array_equal(whole[:, -3:], short[:, -3:])  # truncation never changes the cluster
    starts = torch.from_numpy(model.head_starts)
    latents = torch.from_numpy(draw_latents(1, 0, 20_000, z_dim=7, prior="normal"))
    seen = torch.bincount(labels_of(latents, head_starts=starts)) / 20_000
    assert ballots_of(model.generator).classes == 3
    assert seen.std() > 0.01  # clusters of equal sizes would have been a chance of a few in a hundred
    capsys.readouterr()
    assert main(["sample", "model", "--digit", "1", "--out", "one.png"]) != 0
    assert "model is not conditional" in capsys.readouterr().err
    card = (tmp_path / "model" / "CARD.md").read_text()
    assert "without classes" in card
    assert metadata.game in card


def test_shares_are_counted_where_the_data_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The game counts classes and pixels with NumPy, so it gets the data before they go to a GPU."""
    played: list[Dataset] = []
    of, to = Game.of, Dataset.to

    def watch(config: RunConfig, dataset: Dataset, **named: Any) -> Game:
        played.append(dataset)
        return of(config, dataset, **named)

    monkeypatch.setattr(Game, "of", watch)
    monkeypatch.setattr(Dataset, "to", lambda data, device: replace(to(data, device), name="on the device"))
    config = make_config(tiny_recipe("mlp", *CLUSTERED, "epochs=1"), write_npz(tmp_path / "pictures.npz"))
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    play(folder, config)
    (dataset,) = played
    assert dataset.name == "pictures"
    assert dataset.labels is not None
    assert dataset.classes == 3
