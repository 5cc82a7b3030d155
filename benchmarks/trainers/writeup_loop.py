"""The write-up's training loop, rewritten with its settings and its mistakes, to be measured beside ours.

Its mistakes, each marked below:
  1. with K = 3, three D losses are computed for each batch, but backward is called for the last one only;
  2. G's images are not detached in D's step, so gradients are computed for G and thrown away;
  3. G's step reuses D's latents;
  4. the last batch of an epoch, which is smaller, is kept.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from models.images import ImageShape
from models.networks.mlp import MLP

BATCH_SIZE = 128
K = 3
Z_DIM = 100


class ObjectDataset(Dataset[torch.Tensor]):
    """A data set that prepares each image anew whenever it is asked for, as torchvision's MNIST with ToTensor and
    Normalize(0.5, 0.5) does: array → PIL image → float tensor in [0, 1] → [−1, 1]."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> torch.Tensor:
        picture = Image.fromarray(self._images[index])
        array = torch.from_numpy(np.array(picture, copy=True)).view(picture.height, picture.width, 1)
        return array.permute(2, 0, 1).contiguous().to(torch.float32).div(255).sub_(0.5).div_(0.5)


def object_loader(images: NDArray[np.uint8]) -> Iterable[torch.Tensor]:
    """Return the write-up's loader, which shuffles and keeps the smaller last batch (mistake 4)."""
    return DataLoader(ObjectDataset(images), batch_size=BATCH_SIZE, shuffle=True)


class MemoryLoader:
    """Yields the same batches from a float tensor in memory, so that reading images does not slow the loop down."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._images = torch.from_numpy(images.copy())[:, None].float().div_(127.5).sub_(1)

    def __iter__(self) -> Iterator[torch.Tensor]:
        order = torch.randperm(len(self._images))
        for start in range(0, len(order), BATCH_SIZE):
            yield self._images[order[start : start + BATCH_SIZE]]


class WriteupLoop:
    """The write-up's networks, optimisers and step."""

    def __init__(self) -> None:
        shape = ImageShape()
        self.generator = MLP().generator(z_dim=Z_DIM, image_shape=shape)
        self.discriminator = nn.Sequential(MLP().discriminator(image_shape=shape), nn.Sigmoid())
        self.generator_optimiser = torch.optim.Adam(self.generator.parameters(), lr=1e-4)
        self.discriminator_optimiser = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4)
        self.criterion = nn.BCELoss()

    def step(self, real: torch.Tensor) -> tuple[float, float]:
        """Train on one batch, [N, 1, 28, 28] float32 in [−1, 1], and return D's and G's loss."""
        n = len(real)
        ones, zeros = torch.ones(n), torch.zeros(n)
        for _ in range(K):  # mistake 1: all of these but the last are never used
            z = torch.randn(n, Z_DIM)
            fake = self.generator(z)  # mistake 2: not detached
            loss_real = self.criterion(self.discriminator(real), ones)
            loss_fake = self.criterion(self.discriminator(fake), zeros)
            loss_d = (loss_real + loss_fake) / 2
        self.discriminator_optimiser.zero_grad()
        loss_d.backward()
        self.discriminator_optimiser.step()

        loss_g = self.criterion(self.discriminator(self.generator(z)), ones)  # mistake 3: z is used again
        self.generator_optimiser.zero_grad()
        loss_g.backward()
        self.generator_optimiser.step()
        return float(loss_d.detach()), float(loss_g.detach())
