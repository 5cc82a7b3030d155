"""Metrics that compare a set of samples with a set of real pictures, in features [N, F] float32."""

import math
import warnings

import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

NEAREST = 5
"""The number k: a picture's neighbourhood reaches as far as its k-th nearest neighbour in the same set."""

KID_SUBSETS = 100
KID_SUBSET_IMAGES = 1000

_ROWS = 1000  # per block: [1000, 10000] float32 are 40 MB


class _AsTheyAre(nn.Module):
    """A stand-in for the feature network that torchmetrics expects; it returns the given features unchanged."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def frechet_distance(real: torch.Tensor, fake: torch.Tensor) -> float:
    """Return ‖μ − μ'‖² + tr(Σ + Σ' − 2(ΣΣ')^½) of two sets: Heusel et al. 2017 (arXiv 1706.08500), by torchmetrics."""
    metric = FrechetInceptionDistance(_AsTheyAre(real.shape[1]), sync_on_compute=False)  # only one process measures
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    return float(metric.compute())


def kernel_distance(real: torch.Tensor, fake: torch.Tensor, *, seed: int = 0) -> tuple[float, float]:
    """Return the kernel distance, KID (Bińkowski et al. 2018, arXiv 1801.01401), and its deviation over subsets."""
    subset = min(KID_SUBSET_IMAGES, len(real), len(fake))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*will save all extracted features in buffer")  # they are only 10 MB
        metric = KernelInceptionDistance(
            _AsTheyAre(real.shape[1]), subsets=KID_SUBSETS, subset_size=subset, sync_on_compute=False
        )
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # torchmetrics draws the subsets from global state only
        mean, deviation = metric.compute()
    return float(mean), float(deviation)


def precision_recall_density_coverage(
    real: torch.Tensor, fake: torch.Tensor, *, k: int = NEAREST, real_nearest: torch.Tensor | None = None
) -> dict[str, float]:
    """Return how the neighbourhoods of two sets overlap, as four figures by name.

    precision   share of samples that lie in the neighbourhood of a real picture
    recall      share of real pictures that lie in the neighbourhood of a sample
    density     mean number of real neighbourhoods around a sample, over k; above 1 if samples crowd in dense places
    coverage    share of real pictures whose neighbourhood holds a sample

    Args:
        real: features of real pictures, [N, F] float32.
        fake: features of samples, [M, F] float32.
        k: number of neighbours, see `NEAREST`; it is lowered if a set has no more than k pictures.
        real_nearest: `nearest_distances(real, k)`, if it is known already.

    Source: Kynkäänniemi et al. 2019 (arXiv 1904.06991); Naeem et al. 2020 (arXiv 2002.09797), equations 3 to 6.
    """
    k = max(1, min(k, len(real) - 1, len(fake) - 1))
    real_radii = neighbourhood_radii(real, k) if real_nearest is None else real_nearest[:, k - 1]
    fake_radii = neighbourhood_radii(fake, k)
    inside = torch.zeros(len(fake))
    recalled = covered = 0
    for start in range(0, len(real), _ROWS):
        distances = torch.cdist(real[start : start + _ROWS], fake)
        radii = real_radii[start : start + _ROWS]
        inside += (distances < radii[:, None]).sum(dim=0)
        recalled += int((distances < fake_radii).any(dim=1).sum())
        covered += int((distances.amin(dim=1) < radii).sum())
    return {
        "precision": float((inside > 0).float().mean()),
        "recall": recalled / len(real),
        "density": float(inside.mean()) / k,
        "coverage": covered / len(real),
    }


def neighbourhood_radii(points: torch.Tensor, k: int) -> torch.Tensor:
    """Return the distance of each of N points [N, F] to its k-th nearest neighbour: [N]."""
    return nearest_distances(points, k)[:, -1]


def nearest_distances(points: torch.Tensor, k: int) -> torch.Tensor:
    """Return the distances of each of N points [N, F] to its k nearest neighbours, the nearest first: [N, k], k < N."""
    blocks = [
        torch.cdist(points[start : start + _ROWS], points).topk(k + 1, dim=1, largest=False).values[:, 1:]
        for start in range(0, len(points), _ROWS)
    ]
    return torch.cat(blocks)


def shares(labels: torch.Tensor, *, classes: int) -> list[float]:
    """Return the share (0–1) of each class among labels [N] int64."""
    counts: list[float] = (torch.bincount(labels, minlength=classes).double() / len(labels)).tolist()
    return counts


def share_ratios(real: torch.Tensor, fake: torch.Tensor, *, classes: int) -> list[float]:
    """Return each class's share of the labels `fake` over its share of `real`; leave out classes that `real` lacks."""
    pairs = zip(shares(fake, classes=classes), shares(real, classes=classes), strict=True)
    return [of_fake / of_real for of_fake, of_real in pairs if of_real]


def modes(labels: torch.Tensor) -> int:
    """Return the number of classes that occur among the labels."""
    return len(set(labels.tolist()))


def divergence_from_uniform(labels: torch.Tensor, *, classes: int) -> float:
    """Return KL(shares ‖ uniform) in nats, 0 if all shares are equal: PacGAN (arXiv 1712.04086), section 4.1."""
    return math.log(classes) + sum(share * math.log(share) for share in shares(labels, classes=classes) if share > 0)
