"""The training of networks for features: what they learn, how long it takes, and what it leaves alone."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.training.evaluation.learned.support import labelled_dataset
from training.errors import NotFiniteError
from training.evaluation.classifier import ImageClassifier
from training.evaluation.learned.learning import (
    MIN_STEPS,
    MOST_IMAGES,
    MOST_PASSES,
    learn,
    make_network,
    relative_cost,
    shift,
    training_steps,
)
from training.evaluation.learned.own_classifier import train_own_classifier
from training.evaluation.learned.self_supervised import (
    TEMPERATURE,
    contrastive_loss,
    train_self_supervised,
    view,
)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_classifier_learns_classes_that_are_sorted_and_unequal(channels: int):
    data = labelled_dataset(channels=channels)
    few = torch.cat([torch.arange(20), torch.arange(20, 32), torch.arange(40, 45)])  # 20, 12 and 5 images
    assert data.labels is not None
    data = replace(data, images=data.images[few], labels=data.labels[few])
    _, accuracy = train_own_classifier(data, steps=40)
    assert accuracy >= 0.9


def test_the_accuracy_is_that_of_held_out_images():
    data = labelled_dataset()
    assert data.held_out_labels is not None
    network, accuracy = train_own_classifier(data, steps=15)
    with torch.no_grad():
        read = network(data.held_out.float() / 127.5 - 1).argmax(dim=1)
    assert accuracy == pytest.approx(float((read == data.held_out_labels).double().mean()))
    unknown = data.held_out_labels.clone()
    unknown[read != data.held_out_labels] = -1
    unknown[0] = -1  # images of classes that the training images lack do not count
    assert train_own_classifier(replace(data, held_out_labels=unknown), steps=15)[1] == 1


def test_without_held_out_labels_a_tenth_of_the_training_images_is_not_trained_on():
    data = replace(labelled_dataset(), held_out_labels=None)
    assert data.labels is not None
    other = replace(data, images=data.images.clone())
    other.images[54:] = 0  # the last tenth
    networks = [train_own_classifier(of, steps=5)[0].state_dict() for of in (data, other)]
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])
    other.images[53] = 0
    again = train_own_classifier(other, steps=5)[0].state_dict()
    assert not all(torch.equal(networks[0][name], again[name]) for name in again)


def test_the_same_images_give_the_same_network_and_global_random_numbers_stay():
    data, state = labelled_dataset(), torch.get_rng_state()
    for train in (train_own_classifier, train_self_supervised):
        one, two = (train(data, steps=3)[0].state_dict() for _ in range(2))
        assert all(torch.equal(one[name], two[name]) for name in one)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_without_labels_finds_the_other_view():
    data = replace(labelled_dataset(), labels=None, held_out_labels=None)
    untrained, trained = (train_self_supervised(data, steps=steps)[1] for steps in (1, 40))
    assert trained > untrained
    assert trained > 0.1  # 1 of 30 by chance


def test_the_contrastive_loss_is_that_of_its_definition():
    """Each of four rows against the three others, by loops in float64."""
    rows = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    unit = [row / row.norm() for row in rows]
    wanted = []
    for i, other in enumerate((2, 3, 0, 1)):
        powers = {j: math.exp(float(unit[i] @ unit[j]) / TEMPERATURE) for j in range(4) if j != i}
        wanted.append(-math.log(powers[other] / sum(powers.values())))
    assert float(contrastive_loss(rows)) == pytest.approx(sum(wanted) / 4)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_view_is_a_part_of_its_image(channels: int):
    """The images are ramps. A part of a ramp is a ramp with the same order, or with the opposite one if mirrored."""
    ramp = torch.linspace(-0.5, 0.5, 32)
    images = ramp.expand(64, channels, 32, 32).clone()
    seen = view(images, torch.Generator().manual_seed(0))
    assert seen.shape == images.shape
    slopes = (seen[..., 28] - seen[..., 3]).mean(dim=(1, 2))
    assert 16 < int((slopes > 0).sum()) < 48
    assert ((slopes.abs() > 0.5 * 0.6 * 0.7) & (slopes.abs() < 1.4)).all()
    down = view(images.transpose(2, 3), torch.Generator().manual_seed(0))
    assert (down[:, :, 28] > down[:, :, 3]).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_work(bad: float):
    data, network = labelled_dataset(), make_network(channels=1, side=16, classes=3)
    losses = iter([1.0, bad])

    def loss_of(batch: torch.Tensor, _rows: torch.Tensor, _rng: torch.Generator) -> torch.Tensor:
        nothing: torch.Tensor = network(batch).sum() * 0
        return nothing + next(losses)

    with pytest.raises(NotFiniteError, match=rf"^features: trying: the loss is {bad} at step 2 of 9: use `--features"):
        learn(network, nn.Identity(), data.images, loss_of, steps=9, task="trying", say=None)


def test_progress_is_told():
    lines: list[str] = []
    train_own_classifier(labelled_dataset(), steps=1, say=lines.append)
    assert lines == ["features: 1 of 1: a classifier learns the classes"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [16, 17, 28, 32, 40, 41, 64, 81, 128])
def test_every_side_has_its_network(side: int, channels: int):
    for classes in (2, 1000):
        network = ImageClassifier(channels=channels, side=side, classes=classes).eval()
        images = torch.zeros(2, channels, side, side)
        assert network(images).shape == (2, classes)
        assert network.features(images).shape == (2, 128)
    weights = sum(parameter.numel() for parameter in network.parameters())
    assert weights < 700_000  # 2.8 MB in a model folder


def test_the_length_of_a_training_is_limited():
    assert training_steps(100, side=32) == MIN_STEPS
    assert training_steps(5000, side=32) == MOST_PASSES * 5000 // 128
    assert training_steps(10**6, side=32) == MOST_IMAGES // 128
    assert relative_cost(32) == 1
    assert relative_cost(28) < 1 < relative_cost(64) < relative_cost(128)
    assert training_steps(10**6, side=64) == int(MOST_IMAGES / relative_cost(64)) // 128


def test_a_shift_moves_pixels_and_nothing_else():
    images = torch.rand(50, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    moved = shift(images, torch.Generator().manual_seed(1))
    found = set()
    for before, after in zip(images, moved, strict=True):
        matches = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if torch.equal(after[:, 2:-2, 2:-2], before[:, 2 + dy : 14 + dy, 2 + dx : 14 + dx])
        ]
        assert len(matches) == 1
        found.add(matches[0])
    assert len(found) > 10
    assert {max(move) for move in found} >= {2, -1}
