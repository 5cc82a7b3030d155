"""Images with a known fault, which a figure of quality should see."""

from collections.abc import Callable

import torch
from torch.nn import functional

from training.data.dataset import Dataset
from training.evaluation.full.accuracy_score import Labelled

FAULTS = {
    "perfect": "other real digits",
    "copier": "the same, a tenth of them copies with small noise",
    "one class": "one class only",
    "blurred": "blurred",
    "noisy": "noisy",
    "shifted": "shifted by 3 pixels",
}


def spoil(samples: Labelled, data: Dataset, fault: str) -> Labelled:
    """Return samples with one of the `FAULTS`."""
    noise = torch.randn(samples.images.shape, generator=torch.Generator().manual_seed(0))

    def copied() -> Labelled:
        n = len(samples.images) // 10
        copies = _rounded(data.images[:n] + 8 * noise[:n])
        labels = samples.labels if data.labels is None else torch.cat([data.labels[:n], samples.labels[n:]])
        return Labelled(torch.cat([copies, samples.images[n:]]), labels)

    def of_one_class() -> Labelled:
        ones = samples.images[samples.labels == 1]
        return Labelled(ones[torch.arange(len(samples.images)) % len(ones)], samples.labels)

    def blurred() -> torch.Tensor:
        return functional.avg_pool2d(samples.images.float(), 3, stride=1, padding=1)

    faults: dict[str, Callable[[], Labelled]] = {
        "perfect": lambda: samples,
        "copier": copied,
        "one class": of_one_class,
        "blurred": lambda: Labelled(_rounded(blurred()), samples.labels),
        "noisy": lambda: Labelled(_rounded(samples.images + 32 * noise), samples.labels),
        "shifted": lambda: Labelled(samples.images.roll(3, dims=3), samples.labels),
    }
    return faults[fault]()


def _rounded(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.round().clamp(0, 255).to(torch.uint8)
