"""Gradient penalties on discriminators whose gradients are known, and compared with finite differences."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from models.networks.mlp import initialise_like_pytorch
from training.gan.penalties import interpolated, squared_gradient_norms

SHAPE = (2, 3, 3)
PIXELS = 18


def images(n: int = 5, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """[n, 2, 3, 3] in [−1, 1], requiring gradients."""
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand(n, *SHAPE, generator=rng, dtype=dtype) * 2 - 1).requires_grad_()


def test_a_linear_d_has_the_norm_of_its_weights_everywhere():
    rng = np.random.default_rng(1)
    weights = rng.normal(size=PIXELS)
    x = images()
    norms = squared_gradient_norms(x.flatten(1) @ torch.from_numpy(weights) + 3, x)
    assert norms.shape == (5,)
    np.testing.assert_allclose(norms.detach().numpy(), [sum(w * w for w in weights)] * 5, rtol=1e-6)


def test_a_quadratic_d_has_another_norm_at_each_image():
    """½ xᵀAx + bᵀx with a symmetric A: the gradient is Ax + b."""
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(PIXELS, PIXELS)), rng.normal(size=PIXELS)
    a = a + a.T
    x = images()
    flat = x.flatten(1)
    logits = ((flat @ torch.from_numpy(a)) * flat).sum(dim=1) / 2 + flat @ torch.from_numpy(b)
    wanted = [float(((a @ row + b) ** 2).sum()) for row in flat.detach().numpy()]
    assert max(wanted) > 1.2 * min(wanted)
    np.testing.assert_allclose(squared_gradient_norms(logits, x).detach().numpy(), wanted, rtol=1e-6)


def test_gradients_are_squared_as_float32_whatever_d_computes_in():
    """Squares computed in bfloat16 would have only three correct digits."""
    x = images(dtype=torch.bfloat16)
    norms = squared_gradient_norms(x.flatten(1) @ torch.full((PIXELS,), 1.0078125, dtype=torch.bfloat16), x)
    assert norms.dtype == torch.float32
    np.testing.assert_allclose(norms.detach().numpy(), PIXELS * 1.0078125**2, rtol=1e-6)


def mean_squared_norm(x: NDArray[np.float64], w: NDArray[np.float64], v: NDArray[np.float64]) -> float:
    """The mean of ‖∇ₓ v·tanh(Wx)‖², by the chain rule: ∇ₓ = Wᵀ(v·(1 − tanh²(Wx)))."""
    slopes = (v * (1 - np.tanh(x @ w.T) ** 2)) @ w
    return float((slopes**2).sum(axis=1).mean())


def test_the_penalty_can_be_differentiated_in_ds_weights():
    rng = np.random.default_rng(3)
    w, v = rng.normal(size=(4, PIXELS)) / 4, rng.normal(size=4)
    x = images()
    tensors = torch.from_numpy(w).requires_grad_(), torch.from_numpy(v).requires_grad_()
    penalty = squared_gradient_norms(torch.tanh(x.flatten(1) @ tensors[0].T) @ tensors[1], x).mean()
    pixels = x.detach().flatten(1).numpy()
    assert penalty.item() == pytest.approx(mean_squared_norm(pixels, w, v), rel=1e-6)
    seen = torch.autograd.grad(penalty, tensors)
    step = 1e-5
    for number, weights in enumerate((w, v)):
        wanted = np.empty_like(weights)
        for index in np.ndindex(weights.shape):
            values = []
            for sign in (1, -1):
                moved = [w.copy(), v.copy()]
                moved[number][index] += sign * step
                values.append(mean_squared_norm(pixels, *moved))
            wanted[index] = (values[0] - values[1]) / (2 * step)
        assert np.abs(wanted).max() > 0.01
        np.testing.assert_allclose(seen[number].numpy(), wanted, rtol=1e-4, atol=1e-6)


def test_a_descent_on_the_penalty_makes_d_flatter():
    network = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0)).double()
    initialise_like_pytorch(network, torch.Generator().manual_seed(0))
    x = images()
    before = squared_gradient_norms(network(x), x).mean()
    before.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.sub_(0.1 * parameter.grad)
    assert squared_gradient_norms(network(x), x).mean().item() < before.item()


def between(n: int = 400, *, seed: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return real images, fakes that require gradients, and the interpolated images."""
    real, fake = images(n, seed=1, dtype=torch.float32).detach(), images(n, seed=2, dtype=torch.float32)
    return real, fake, interpolated(real, fake, rng=torch.Generator().manual_seed(seed))


def test_an_interpolated_image_lies_on_the_line_between_its_real_image_and_its_fake():
    real, fake, middle = between()
    assert middle.shape == real.shape
    assert middle.dtype == torch.float32
    a, b, c = (tensor.detach().flatten(1).double().numpy() for tensor in (real, fake, middle))
    share = ((c - a) * (b - a)).sum(axis=1) / ((b - a) ** 2).sum(axis=1)  # fitted by least squares
    assert share.min() >= -1e-6
    assert share.max() <= 1 + 1e-6
    np.testing.assert_allclose(c, a + share[:, None] * (b - a), atol=1e-6)  # one share for all pixels of an image


def test_the_share_of_the_fake_is_uniform():
    real, fake = torch.zeros(20_000, 1, 1, 1), torch.ones(20_000, 1, 1, 1)
    shares = interpolated(real, fake, rng=torch.Generator().manual_seed(0)).detach().flatten().double().numpy()
    # The standard errors are 0.002 of the mean and 0.0005 of the variance; each tenth holds 2,000 ± 42.
    assert shares.mean() == pytest.approx(1 / 2, abs=0.01)
    assert shares.var() == pytest.approx(1 / 12, abs=0.003)
    assert np.histogram(shares, bins=10, range=(0, 1))[0] == pytest.approx([2000] * 10, abs=210)


def test_an_interpolated_image_requires_gradients_and_passes_none_to_g():
    _, fake, middle = between(5)
    assert middle.requires_grad
    assert middle.is_leaf
    middle.square().sum().backward()
    assert middle.grad is not None
    assert fake.grad is None


def test_a_fake_of_lower_precision_is_taken_as_what_the_real_images_are():
    real = images(4, dtype=torch.float32).detach()
    middle = interpolated(real, real.to(torch.bfloat16), rng=torch.Generator().manual_seed(0))
    assert middle.dtype == torch.float32
    torch.testing.assert_close(middle.detach(), real, atol=0.01, rtol=0)


def test_the_same_generator_gives_the_same_points_and_global_state_is_left_alone():
    before = torch.get_rng_state()
    assert torch.equal(between(seed=7)[2], between(seed=7)[2])
    assert not torch.equal(between(seed=7)[2], between(seed=8)[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_interpolation_leaves_its_inputs_as_they_were():
    real, fake = images(5, seed=1, dtype=torch.float32).detach(), images(5, seed=2, dtype=torch.float32)
    copies = real.clone(), fake.detach().clone()
    interpolated(real, fake, rng=torch.Generator().manual_seed(0))
    assert torch.equal(real, copies[0])
    assert torch.equal(fake.detach(), copies[1])
    assert not real.requires_grad


def test_the_gradient_penalty_of_a_linear_critic_between_images():
    """It is (‖w‖ − 1)² at every point; the two functions together make this loss."""
    weights = torch.linspace(-1, 1, PIXELS)
    _, _, middle = between(6)
    norms = squared_gradient_norms(middle.flatten(1) @ weights, middle)
    length = float(np.sqrt((np.linspace(-1, 1, PIXELS) ** 2).sum()))
    assert (norms.sqrt() - 1).square().mean().item() == pytest.approx((length - 1) ** 2, rel=1e-5)
