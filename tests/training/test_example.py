"""The plain game: formulas at known points, which network each step changes, and the whole command."""

import math
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from training import example
from training.example import (
    PIXELS,
    Z_DIM,
    adam,
    make_discriminator,
    make_generator,
    step_discriminator,
    step_generator,
    value,
)

SOURCE = Path(example.__file__)


def weights(network: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def same(before: list[torch.Tensor], network: nn.Module) -> list[bool]:
    return [torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]


def players() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return make_generator(), make_discriminator()


def reals(n: int) -> torch.Tensor:
    return torch.rand(n, PIXELS, generator=torch.Generator().manual_seed(1)) * 2 - 1


def noise(n: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(n, Z_DIM, generator=torch.Generator().manual_seed(seed))


def test_the_value_is_equation_1():
    zeros = torch.zeros(3, 1)
    assert value(zeros, zeros).item() == pytest.approx(-math.log(4))
    real, fake = np.array([0.3, -1.2, 2.0]), np.array([0.7, -0.4, 1.5])
    d_real, d_fake = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    wanted = np.log(d_real).mean() + np.log(1 - d_fake).mean()
    seen = value(torch.from_numpy(real)[:, None], torch.from_numpy(fake)[:, None])
    assert seen.item() == pytest.approx(wanted, rel=1e-9)


def test_a_d_step_climbs_the_value_and_leaves_g():
    g, d = players()
    optimiser, x, z = adam(d.parameters()), reals(32), noise(32)
    before = weights(g), weights(d)
    values = [step_discriminator(g, d, optimiser, x, z) for _ in range(10)]
    assert all(same(before[0], g))
    assert all(parameter.grad is None for parameter in g.parameters())
    assert not any(same(before[1], d))
    with torch.no_grad():
        assert value(d(x), d(g(z))).item() > values[-1] > values[0]


def test_a_g_step_raises_d_of_g_and_leaves_d():
    g, d = players()
    optimiser, z = adam(g.parameters()), noise(32)
    before = weights(g), weights(d)

    def d_of_g() -> float:
        with torch.no_grad():
            return torch.sigmoid(d(g(z))).mean().item()

    start = d_of_g()
    for _ in range(10):
        step_generator(g, d, optimiser, z)
    assert all(same(before[1], d))
    unmoved = [name for (name, _), still in zip(g.named_parameters(), same(before[0], g), strict=True) if still]
    assert unmoved == []
    assert d_of_g() > start + 0.01


def test_gradients_that_gs_step_leaves_in_d_do_not_reach_ds_step():
    steps = []
    for with_g_step in (False, True):
        g, d = players()
        still = torch.optim.SGD(g.parameters(), lr=0.0)
        if with_g_step:
            step_generator(g, d, still, noise(32, seed=3))
        step_discriminator(g, d, torch.optim.SGD(d.parameters(), lr=0.1), reals(32), noise(32))
        steps.append(weights(d))
    assert all(torch.equal(a, b) for a, b in zip(*steps, strict=True))


def test_the_command_prints_the_value_of_each_epoch_and_draws_a_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    rng = np.random.default_rng(0)
    few = rng.integers(0, 256, (300, 28, 28), dtype=np.uint8)
    few.flags.writeable = False  # as the embedded images are
    monkeypatch.setattr("training.data.mnist.read_mnist", lambda: (few, few))
    pictures = []
    for name, seed in (("a.png", 4), ("again.png", 4), ("other.png", 5)):
        monkeypatch.setattr(
            sys, "argv", ["example", "--epochs", "2", "--out", str(tmp_path / name), "--seed", str(seed)]
        )
        runpy.run_path(str(SOURCE), run_name="__main__")
        pictures.append((tmp_path / name).read_bytes())
        lines = capsys.readouterr().out.splitlines()
        assert [
            bool(re.fullmatch(rf"epoch {k}/2: V\(G, D\) = -\d\.\d{{3}}", line)) for k, line in enumerate(lines, 1)
        ] == [
            True,
            True,
        ]
    assert pictures[0] == pictures[1] != pictures[2]
    grid = np.asarray(Image.open(tmp_path / "a.png"))
    assert grid.shape == (8 * 30 + 2, 8 * 30 + 2)
    assert (grid[:2] == 0).all()
    assert len(np.unique(grid)) > 20


def test_it_is_short_enough_to_be_read_in_one_sitting():
    assert len(SOURCE.read_text(encoding="utf-8").splitlines()) <= 100
