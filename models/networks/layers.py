"""Layers that more than one architecture uses."""

import torch
from torch import nn

from models.networks.batch_part import WHOLE


class Float32(nn.Module):
    """A layer that returns x as float32: in bfloat16 a sigmoid near 1 would be rounded to 1, and its gradient to 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float()


class Maxout(nn.Module):
    """A layer in which each unit is the largest of `pieces` linear functions of the input: [N, fan_in] → [N, units].

    Source: Goodfellow et al., "Maxout networks", ICML 2013.
    """

    def __init__(self, fan_in: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(fan_in, units * pieces)
        self.pieces = pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # `max`, not `amax`: if pieces are equal, only one of them gets the gradient.
        pieces: torch.Tensor = self.linear(x).unflatten(1, (-1, self.pieces))
        return pieces.max(dim=2).values


class Dropout(nn.Module):
    """Inverted dropout whose masks come from its own random generator, never from global state.

    In training mode each value is kept with probability `keep` and then divided by it.

    Attributes:
        rng: the generator; it must be set before the first forward pass in training mode.
        part: the rows of each batch that this process gets, when several processes train together.
    """

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = keep
        self.rng: torch.Generator | None = None
        self.part = WHOLE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        if self.rng is None:
            raise RuntimeError("Dropout.rng is None; set it to a torch.Generator before training")
        whole = (self.part.whole(len(x)), *x.shape[1:])
        mask = self.part.of(torch.rand(whole, generator=self.rng, device=x.device)) < self.keep
        return x * mask / self.keep


def dropout(keep: float) -> list[nn.Module]:
    """Return a dropout layer in a list, or an empty list if everything is kept."""
    return [Dropout(keep)] if keep < 1 else []


class GroupDeviation(nn.Module):
    """A layer that appends one feature, the deviation within each group of 4 images: [N, F] → [N, F + 1].

    The new feature is the standard deviation of each input feature over the group, averaged over the features. It lets
    D notice a G whose samples are all alike. In evaluation mode each image is judged alone, and the feature is a
    running mean of its values in training. Source: Karras et al. 2018 (arXiv 1710.10196), section 3.
    """

    GROUP = 4
    MEMORY = 0.99  # weight of the old running mean in each step

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_deviation", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        running = self.get_buffer("running_deviation")
        if not self.training:
            rows = x.shape[0]  # `len` would fix their number in an exported graph
            return torch.cat([x, running.to(x.dtype).expand(rows, 1)], dim=1)
        groups = x.float().reshape(-1, self.GROUP, x.shape[1])
        deviation = (groups.var(dim=1, correction=0) + 1e-8).sqrt().mean(dim=1)
        with torch.no_grad():
            running.lerp_(deviation.mean(), 1 - self.MEMORY if running else 1.0)  # the first value replaces the 0
        return torch.cat([x, deviation.repeat_interleave(self.GROUP)[:, None].to(x.dtype)], dim=1)
