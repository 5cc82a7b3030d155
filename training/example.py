"""The game of Goodfellow et al. 2014 (arXiv 1406.2661), as plainly as it can be written: `python -m training.example`.

Two networks play on MNIST. G makes images from noise z; D says how probable it is that an image x is real. Equation 1:

    min over G, max over D:  V(G, D) = E[log D(x)] + E[log(1 − D(G(z)))]

`training.gan` plays the same game with other losses, penalties, labels, averages, several processes and exact resume.
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from models.grids import assemble_grid
from training.data.mnist import read_mnist
from training.pictures import encode_png

Z_DIM, SIDE, PIXELS, BATCH_SIZE = 100, 28, 28 * 28, 128
adam = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))  # Radford et al. 2016 (arXiv 1511.06434)


def make_generator() -> nn.Sequential:
    """Return G: standard normal noise z [N, 100] → images [N, 784] in (−1, 1)."""
    return nn.Sequential(*hidden(Z_DIM, 256), *hidden(256, 512), *hidden(512, 1024), nn.Linear(1024, PIXELS), nn.Tanh())


def hidden(fan_in: int, fan_out: int) -> tuple[nn.Module, ...]:
    """Return a hidden layer of G, [N, fan_in] → [N, fan_out]; batch normalisation helps G to draw different images."""
    return nn.Linear(fan_in, fan_out), nn.BatchNorm1d(fan_out), nn.LeakyReLU(0.2)


def make_discriminator() -> nn.Sequential:
    """Return D: images [N, 784] → logits [N, 1]; D(x) = sigmoid(logit)."""
    return nn.Sequential(
        nn.Linear(PIXELS, 512), nn.LeakyReLU(0.2), nn.Linear(512, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1)
    )


def value(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return V(G, D), equation 1, of logits [N, 1]; −log 4 ≈ −1.386 if D cannot tell real from fake (theorem 1)."""
    return logsigmoid(real_logits).mean() + logsigmoid(-fake_logits).mean()  # 1 − sigmoid(a) = sigmoid(−a)


def step_discriminator(
    g: nn.Module, d: nn.Module, optimiser: torch.optim.Optimizer, x: torch.Tensor, z: torch.Tensor
) -> float:
    """Algorithm 1, inner loop: D takes a step up V(G, D); G does not change. Return V before the step."""
    with torch.no_grad():
        fake = g(z)  # [N, 100] → [N, 784]
    v = value(d(x), d(fake))  # [N, 784] → [N, 1], twice → scalar
    optimiser.zero_grad()
    (-v).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return v.item()


def step_generator(g: nn.Module, d: nn.Module, optimiser: torch.optim.Optimizer, z: torch.Tensor) -> None:
    """Algorithm 1, outer loop: G takes a step up E[log D(G(z))], section 3's objective; D does not change."""
    # By equation 1, G would step down E[log(1 − D(G(z)))], which is flat while D wins.
    loss = -logsigmoid(d(g(z))).mean()  # [N, 100] → [N, 784] → [N, 1] → scalar
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # D gets gradients as well; its own step clears them first
    optimiser.step()


def play(images: torch.Tensor, *, epochs: int, seed: int) -> nn.Module:
    """Play on images [M, 784] in [−1, 1] and return G; each epoch prints the mean of V(G, D)."""
    torch.manual_seed(seed)  # it decides the first weights, the order of the images, and all noise
    g, d = make_generator(), make_discriminator()
    g_optimiser, d_optimiser = adam(g.parameters()), adam(d.parameters())
    for epoch in range(1, epochs + 1):
        values = []
        for batch in torch.split(torch.randperm(len(images)), BATCH_SIZE):
            x, n = images[batch], len(batch)  # [N, 784]
            values.append(step_discriminator(g, d, d_optimiser, x, torch.randn(n, Z_DIM)))
            step_generator(g, d, g_optimiser, torch.randn(n, Z_DIM))
        print(f"epoch {epoch}/{epochs}: V(G, D) = {sum(values) / len(values):.3f}", flush=True)
    return g


def main() -> None:
    """Read MNIST, play, and draw 64 images."""
    parser = argparse.ArgumentParser(prog="python -m training.example", description="The plain GAN of 2014 on MNIST.")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the 60,000 images (default: 20)")
    parser.add_argument("--out", type=Path, default="grid.png", help="the picture to write (default: grid.png)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: 0)")
    options = parser.parse_args()
    images = torch.from_numpy(read_mnist()[0].copy()).flatten(1) / 127.5 - 1  # [60000, 784] in [−1, 1]
    g = play(images, epochs=options.epochs, seed=options.seed)
    fakes = g.eval()(torch.randn(64, Z_DIM)).detach().reshape(-1, SIDE, SIDE)  # [64, 28, 28] in (−1, 1)
    pixels = ((fakes + 1) * 127.5).round().to(torch.uint8).numpy()  # 0 … 255
    options.out.write_bytes(encode_png(assemble_grid(pixels, padding=2)))


if __name__ == "__main__":
    main()
