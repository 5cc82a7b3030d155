"""Features of pictures that are not digits: no frequency is hidden, and noise is not called good."""

import numpy as np
import pytest
import torch

from models.images import channels_first
from training.evaluation.features import extract
from training.evaluation.metrics import frechet_distance, kernel_distance, precision_recall_density_coverage
from training.evaluation.wavelets import SMALLEST_DETAIL, WEIGHT, wavelet_features

N = 200


def photographs(n: int, side: int, *, seed: int) -> torch.Tensor:
    """Return colour images [n, 3, side, side] uint8 as smooth as photographs: amplitudes fall with the frequency."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
    frequency[0, 0] = 1 / side
    spectrum = np.fft.fft2(rng.normal(size=(n, 4, side, side))) / frequency**1.7
    waves = np.fft.ifft2(spectrum).real
    waves /= waves.std()
    contrast = rng.uniform(0.3, 1.2, (n, 1, 1, 1))
    images = 120 + 50 * contrast * (waves[:, :1] + 0.4 * waves[:, 1:])
    return channels_first(images.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1))


def checkerboard(side: int, field: int) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(side) // field, torch.arange(side) // field, indexing="ij")
    return (rows + columns) % 2 * 2 - 1


def spoilt(real: torch.Tensor, how: str) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    noise = torch.rand(real.shape, generator=rng)
    side = real.shape[-1]
    pictures = {
        "checkerboard": real + 60 * checkerboard(side, 1),
        "coarse checkerboard": real + 60 * checkerboard(side, 2),
        "rows": real + 60 * (torch.arange(side) % 2 * 2 - 1)[:, None],
        "noise added": real + 120 * (noise - 0.5),
        "uniform noise": 255 * noise,
        "grey noise": 120 + 60 * (noise - 0.5),
        "faint noise": 120 + 8 * (noise - 0.5),
        "noise of brightness": 255 * noise[:, :1].expand(real.shape),
        "mean and noise": real.float().mean(dim=0, keepdim=True) + 120 * (noise - 0.5),
        "blank": torch.full_like(real, 120),
    }
    return pictures[how].clamp(0, 255).to(torch.uint8)


GREY = ("checkerboard", "coarse checkerboard", "rows", "noise added", "uniform noise", "grey noise", "faint noise")
COLOURED = ("checkerboard", "uniform noise", "noise of brightness")


@pytest.mark.parametrize(
    ("how", "channels"),
    [
        *((how, 1) for how in (*GREY, "mean and noise", "blank")),
        *(pytest.param(how, 3, marks=pytest.mark.slow) for how in COLOURED),
    ],
)
def test_nothing_calls_noise_good(how: str, channels: int):
    first, second = (photographs(N, 32, seed=seed)[:, :channels] for seed in (0, 1))
    real, other, bad = (extract(images, digits=0).values for images in (first, second, spoilt(second, how)))
    assert frechet_distance(real, bad) > 5 * frechet_distance(real, other)
    good, seen = (precision_recall_density_coverage(real, of) for of in (other, bad))
    for name in ("precision", "density", "coverage"):
        assert seen[name] < 0.2 * good[name], name


def test_the_kernel_distance_sees_noise_too():
    first, second = (photographs(N, 16, seed=seed)[:, :1] for seed in (0, 1))
    real, other, bad = (extract(images, digits=0).values for images in (first, second, spoilt(second, "checkerboard")))
    assert kernel_distance(real, bad)[0] > 10 * abs(kernel_distance(real, other)[0])


@pytest.mark.parametrize(
    ("side", "features"), [(16, 64 + 48), (17, 64 + 96), (28, 64 + 96), (32, 64 + 96), (64, 64 + 144)]
)
def test_the_number_of_features_is_small(side: int, features: int):
    for channels in (1, 3):
        seen = wavelet_features(torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(0)))
        assert seen.shape == (2, channels * features)
        assert seen.isfinite().all()


def test_colours_and_energies_are_those_of_their_definition():
    """One picture of 16 × 16, by loops in float64."""
    image = np.random.default_rng(0).random((16, 16))
    seen = wavelet_features(torch.from_numpy(image)[None, None].float())[0].double().numpy()
    colours = image.reshape(8, 2, 8, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(seen[:64], colours.ravel(), atol=1e-6)
    signs = {0: [[1, -1], [1, -1]], 1: [[1, 1], [-1, -1]], 2: [[1, -1], [-1, 1]]}
    for kind, sign in signs.items():
        for part in range(16):
            row, column = 4 * (part // 4), 4 * (part % 4)
            squares = [
                ((image[r : r + 2, c : c + 2] * sign).sum() / 2) ** 2
                for r in (row, row + 2)
                for c in (column, column + 2)
            ]
            wanted = WEIGHT * np.log(np.sqrt(np.mean(squares) + SMALLEST_DETAIL**2))
            assert seen[64 + 16 * kind + part] == pytest.approx(wanted, abs=1e-5)
