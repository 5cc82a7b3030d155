"""The average of G's weights, compared with its closed form."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from training.gan.ema import EMA, RAMP_UP


def network(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(layer.weight, value)
    return layer


def average_of(ema: EMA[nn.Linear]) -> float:
    return float(next(ema.network.parameters()))


def test_a_weight_has_lost_half_its_share_after_the_half_life():
    ema = EMA(network(1.0), halflife_images=1000)
    followed = network(0.0)
    for step in range(1, 101):  # 100 · 10 images, so late in the run that there is no ramp left
        ema.update(followed, batch_images=10, images_seen=1_000_000 + 10 * step)
    assert average_of(ema) == pytest.approx(0.5, rel=1e-9)


def test_closed_form_with_the_ramp():
    values = np.random.default_rng(0).normal(size=60)
    ema = EMA(network(values[0]), halflife_images=500)
    for step, value in enumerate(values[1:], start=1):
        ema.update(network(value), batch_images=32, images_seen=32 * step)
    # Each value keeps the product of all later decays of its own share.
    decays = [0.5 ** (32 / min(500.0, 0.05 * 32 * step)) for step in range(1, 60)]
    shares = [math.prod(decays)] + [(1 - decays[k]) * math.prod(decays[k + 1 :]) for k in range(59)]
    assert sum(shares) == pytest.approx(1)
    assert average_of(ema) == pytest.approx(float(np.dot(shares, values)), rel=1e-9)
    assert RAMP_UP == 0.05


def test_the_start_is_forgotten_quickly():
    ema = EMA(network(1e6), halflife_images=1e9)
    for step in range(1, 11):
        ema.update(network(0.0), batch_images=64, images_seen=64 * step)
    assert abs(average_of(ema)) < 1e-6


def test_half_life_0_follows_exactly():
    source = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4))
    ema = EMA(source, halflife_images=0)
    source.train()
    for step in range(1, 4):
        with torch.no_grad():
            for parameter in source.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step)))
        source(torch.randn(8, 5, generator=torch.Generator().manual_seed(10 + step)))
        ema.update(source, batch_images=8, images_seen=8 * step)
        for name, tensor in source.state_dict().items():
            if tensor.is_floating_point():
                assert torch.equal(ema.network.state_dict()[name], tensor), name


def test_running_statistics_are_averaged_and_the_followed_network_is_left_alone():
    source = nn.BatchNorm1d(2)
    ema = EMA(source, halflife_images=100)
    source.running_mean.copy_(torch.tensor([4.0, -4.0]))  # type: ignore[union-attr]
    before = {name: tensor.clone() for name, tensor in source.state_dict().items()}
    ema.update(source, batch_images=100, images_seen=10**6)
    assert ema.network.get_buffer("running_mean").tolist() == pytest.approx([2.0, -2.0])
    for name, tensor in source.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_the_average_is_a_copy_in_evaluation_mode_without_gradients():
    source = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    ema = EMA(source, halflife_images=1)
    assert source.training
    assert not ema.network.training
    assert all(parameter.requires_grad for parameter in source.parameters())
    assert not any(parameter.requires_grad for parameter in ema.network.parameters())
    shared = {p.data_ptr() for p in source.parameters()} & {p.data_ptr() for p in ema.network.parameters()}
    assert not shared
