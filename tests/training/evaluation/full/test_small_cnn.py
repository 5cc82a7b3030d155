"""The small network: it learns, and the same arguments give the same network on any number of threads."""

import pytest
import torch

from training.evaluation.full.small_cnn import (
    BATCH,
    MIN_STEPS,
    SmallCNN,
    probabilities,
    train_small_cnn,
    training_steps,
)


def halves(n: int, *, seed: int, channels: int = 1, side: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noise that is brighter on the left (class 0) or on the right (class 1), and the classes."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (n,), generator=rng)
    images = torch.randint(0, 100, (n, channels, side, side), generator=rng)
    columns = torch.arange(side) >= side // 2
    bright = columns[None] == (labels[:, None] == 1)
    return (images + 60 * bright[:, None, None, :]).to(torch.uint8), labels


@pytest.mark.parametrize(("channels", "side"), [(1, 16), (3, 18), (1, 28)])
def test_it_learns(channels: int, side: int):
    images, labels = halves(200, seed=0, channels=channels, side=side)
    network = train_small_cnn(images, labels, classes=2, seed=0, steps=20)
    others, wanted = halves(100, seed=1, channels=channels, side=side)
    given = probabilities(network, others)
    assert given.shape == (100, 2)
    assert given.sum(dim=1).tolist() == pytest.approx([1.0] * 100, abs=1e-5)
    assert float((given.argmax(dim=1) == wanted).float().mean()) > 0.9


def test_the_number_of_threads_and_the_global_seed_do_not_change_it():
    images, labels = halves(150, seed=0)
    before = torch.get_num_threads()
    states = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            torch.manual_seed(threads)
            states.append(train_small_cnn(images, labels, classes=2, seed=5, steps=4).state_dict())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    other = train_small_cnn(images, labels, classes=2, seed=6, steps=4).state_dict()
    assert not torch.equal(other["layers.0.weight"], states[0]["layers.0.weight"])


def test_its_units_do_not_die_where_nothing_can_be_learned():
    """With ReLU 127 of 128 hidden units were dead after such a training, and every image had the same probability."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (1000, 1, 16, 16), generator=rng).to(torch.uint8)
    labels = torch.randint(0, 2, (1000,), generator=rng)
    network = train_small_cnn(images, labels, classes=2, seed=1, steps=150)
    assert probabilities(network, images)[:, 0].std() > 0.02
    slopes = [layer.negative_slope for layer in network.layers if isinstance(layer, torch.nn.LeakyReLU)]
    assert slopes == [0.1] * 3


def test_steps():
    assert training_steps(60_000) == 3 * 60_000 // BATCH
    assert training_steps(10) == MIN_STEPS


def test_it_says_how_far_it_is():
    images, labels = halves(30, seed=0)
    said: list[float] = []
    train_small_cnn(images, labels, classes=2, seed=0, steps=4, say=said.append)
    assert said == [0.25, 0.5, 0.75, 1.0]


def test_it_is_in_evaluation_mode():
    network = train_small_cnn(*halves(30, seed=0), classes=2, seed=0, steps=1)
    assert isinstance(network, SmallCNN)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
