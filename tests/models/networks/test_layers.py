"""Layers that several architectures share: the deviation of a group, and dropout that keeps everything."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.images import ImageShape
from models.networks.architectures import Architecture
from models.networks.conv import Conv
from models.networks.layers import Dropout, GroupDeviation, dropout
from models.networks.mlp import MLP

GROUP = 4


def features(n: int = 12, width: int = 5, *, seed: int = 0) -> torch.Tensor:
    """Return features [n, width]; each group has another spread."""
    rng = torch.Generator().manual_seed(seed)
    spread = torch.arange(1, n // GROUP + 1).repeat_interleave(GROUP)[:, None]
    return torch.randn(n, width, generator=rng) * spread


def deviations(x: NDArray[np.float64]) -> list[float]:
    """Return the population standard deviation within each group, averaged over the features."""
    found = []
    for start in range(0, len(x), GROUP):
        group = x[start : start + GROUP]
        each = [
            (sum((value - sum(column) / GROUP) ** 2 for value in column) / GROUP) ** 0.5 for column in group.T.tolist()
        ]
        found.append(sum(each) / len(each))
    return found


@pytest.mark.parametrize("n", [4, 8, 64])
def test_in_training_a_groups_deviation_is_appended_to_each_of_its_images(n: int):
    x = features(n)
    seen = GroupDeviation()(x)
    assert seen.shape == (n, 6)
    assert torch.equal(seen[:, :5], x)
    wanted = np.repeat(deviations(x.double().numpy()), GROUP)
    np.testing.assert_allclose(seen[:, 5].numpy(), wanted, rtol=1e-5)


def test_a_group_of_one_image_four_times_has_next_to_no_deviation():
    x = features()
    x[4:8] = x[4]
    seen = GroupDeviation()(x)[:, -1]
    assert (seen[4:8] < 2e-4).all()
    assert (seen[:4] > 0.1).all()
    assert (seen[8:] > 0.1).all()


def test_the_gradient_of_an_identical_group_is_finite():
    """The square root's slope is infinite at 0, which is reached when G draws only one image."""
    x = torch.ones(4, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(GroupDeviation()(x).sum(), x)
    assert torch.isfinite(gradient).all()


def test_groups_do_not_see_each_other():
    x = features(12).requires_grad_()
    seen = GroupDeviation()(x)[:, -1]
    for group in range(3):
        rows = list(range(group * GROUP, group * GROUP + GROUP))
        for row in rows:
            (gradient,) = torch.autograd.grad(seen[row], x, retain_graph=True)
            assert (gradient.abs().amax(dim=1) > 0).nonzero().flatten().tolist() == rows
    moved = x.detach().clone()
    moved[4:8] += torch.randn(4, 5, generator=torch.Generator().manual_seed(1)) * 100
    after = GroupDeviation()(moved)[:, -1]
    np.testing.assert_allclose(after[:4].numpy(), seen[:4].detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(after[8:].numpy(), seen[8:].detach().numpy(), rtol=1e-6)
    assert (after[4:8] > 10).all()


def test_in_evaluation_the_feature_is_the_running_mean_of_training():
    layer = GroupDeviation()
    running = 0.0
    for step in range(30):
        x = features(seed=step)
        layer(x)
        seen = float(np.mean(deviations(x.double().numpy())))
        running = 0.99 * running + 0.01 * seen if step else seen  # the first value replaces the 0
    x = features(7 * GROUP, seed=99)[:7]  # any number of images
    seen = layer.eval()(x)
    assert seen.shape == (7, 6)
    assert torch.equal(seen[:, :5], x)
    assert seen[:, 5].tolist() == pytest.approx([running] * 7, rel=1e-4)


def test_after_long_training_the_feature_in_evaluation_is_the_mean_of_what_was_seen():
    layer = GroupDeviation()
    rng = torch.Generator().manual_seed(0)
    found = []
    for _ in range(3000):
        x = torch.randn(8, 20, generator=rng)
        layer(x)
        found.append(np.mean(deviations(x.double().numpy())))
    assert layer.eval()(torch.zeros(1, 20))[0, -1].item() == pytest.approx(float(np.mean(found)), rel=0.02)


def test_evaluation_teaches_the_running_mean_nothing_and_lets_no_image_see_another():
    layer = GroupDeviation()
    layer(features())
    before = layer.get_buffer("running_deviation").clone()
    x = features(8).requires_grad_()
    seen = layer.eval()(x)
    assert torch.equal(layer.get_buffer("running_deviation"), before)
    (gradient,) = torch.autograd.grad(seen[3].sum(), x)
    assert (gradient.abs().amax(dim=1) > 0).nonzero().flatten().tolist() == [3]


def test_the_running_mean_is_no_part_of_the_graph_and_travels_with_the_weights():
    layer = GroupDeviation()
    layer(features().requires_grad_())
    running = layer.get_buffer("running_deviation")
    assert not running.requires_grad
    assert list(layer.state_dict()) == ["running_deviation"]
    other = GroupDeviation()
    other.load_state_dict(layer.state_dict())
    assert other.eval()(torch.zeros(1, 5))[0, -1].item() == running.item() > 0


def test_half_precision_features_keep_their_type_and_are_compared_in_float32():
    x = (features() + 100).to(torch.bfloat16)
    seen = GroupDeviation()(x)
    assert seen.dtype == torch.bfloat16
    wanted = np.repeat(deviations(x.double().numpy()), GROUP)
    np.testing.assert_allclose(seen[:, -1].double().numpy(), wanted, rtol=2**-8)  # rounded once, at the end
    assert GroupDeviation().eval()(x).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "architecture",
    [
        MLP(generator_widths=(9,), discriminator_widths=(5,), group_deviation=True),
        Conv(generator_channels=(4, 3), discriminator_channels=(3, 4), group_deviation=True),
        Conv(generator_channels=(4, 3), discriminator_channels=(3, 4), maxout_units=(5,), group_deviation=True),
    ],
    ids=lambda architecture: architecture.name,
)
def test_a_d_that_sees_groups_has_one_of_these_layers_and_sees_no_other_group(architecture: Architecture):
    discriminator = architecture.discriminator(image_shape=ImageShape(height=16, width=16))
    assert [type(layer) for layer in discriminator.modules()].count(GroupDeviation) == 1
    x = (torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator.train()(x)[1], x)
    assert (gradient.abs().flatten(1).amax(dim=1) > 0).nonzero().flatten().tolist() == [0, 1, 2, 3]
    assert discriminator.eval()(x[:3]).shape == (3,)


def test_dropout_that_keeps_everything_is_no_layer():
    assert dropout(1.0) == []


def test_dropout_that_drops_is_one_layer():
    (layer,) = dropout(0.8)
    assert isinstance(layer, Dropout)
    assert layer.keep == 0.8
