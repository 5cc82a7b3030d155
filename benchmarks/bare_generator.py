"""`python -m benchmarks.bare_generator FOLDER N`: images/s of G alone, in the largest calls that the service makes.

The sampler gets the same latents in each call.
"""

import sys
import time
from pathlib import Path

import torch

from models.inference.sampler import Sampler
from models.latents import draw_latents
from models.model_folder.read import load_model


def main() -> None:
    """Draw at least N images and print images/s."""
    torch.set_num_threads(1)
    model, images = load_model(Path(sys.argv[1])), int(sys.argv[2])
    metadata = model.metadata
    sampler = Sampler.of_model(model)
    batch = sampler.rows_at_once
    latents = draw_latents(7, 0, batch, z_dim=metadata.z_dim, prior=metadata.prior)
    sampler(latents)  # PyTorch's first call is slower and is not counted
    calls = -(-images // batch)
    began = time.perf_counter()
    for _ in range(calls):
        sampler(latents)
    print(calls * batch / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
