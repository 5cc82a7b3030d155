"""Ways to make a training step faster on a GPU, each measured by the same steps of the same game."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch

from benchmarks.gpu.steps import FAILURES, Speed, configure, in_one_line, measure_speed
from models.device import DeviceName
from training.data.dataset import Dataset
from training.gan.game import Game


@dataclass(frozen=True)
class Way:
    """A way to compute a step.

    Attributes:
        precision: the recipe's precision of products.
        tf32: where products of float32 may be rounded to TF32, which only NVIDIA's GPUs since Ampere do.
        channels_last: whether the networks keep the channels of a pixel beside each other in memory.
        compiled: the mode in which `torch.compile` compiles G; "reduce-overhead" records CUDA graphs. D is not
            compiled, because compiled code cannot be differentiated twice, as the penalties R1 and R2 need.
    """

    precision: Literal["float32", "bfloat16"] = "float32"
    tf32: Literal["nowhere", "convolutions", "everywhere"] = "nowhere"
    channels_last: bool = False
    compiled: Literal["default", "reduce-overhead"] | None = None

    def prepare(self, game: Game) -> None:
        """Change the networks of a game before its first step."""
        if self.channels_last:
            for network in (game.generator, game.discriminator):
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.compiled:
            game.generator.compile(mode=self.compiled)


WAYS = {
    "float32": Way(),
    "TF32 in convolutions (PyTorch's default)": Way(tf32="convolutions"),
    "TF32 everywhere": Way(tf32="everywhere"),
    "bfloat16": Way(precision="bfloat16"),
    "float32, channels_last": Way(channels_last=True),
    "bfloat16, channels_last": Way(precision="bfloat16", channels_last=True),
    "float32, G compiled": Way(compiled="default"),
    "float32, G in CUDA graphs": Way(compiled="reduce-overhead"),
    "bfloat16, G compiled": Way(precision="bfloat16", compiled="default"),
}
"""All ways; the first one is the reference."""


def measure_way(
    name: str, recipe_name: str, dataset: Dataset, *, device_name: DeviceName, device: torch.device, seconds: float
) -> Speed | str:
    """Measure the steps of a recipe in one of the `WAYS`.

    Returns:
        The speed; or, if the way does not work on this machine, the first line of the error.
    """
    way = WAYS[name]
    overrides = (f"precision={way.precision}",)
    config, data = configure(recipe_name, dataset, device=device_name, overrides=overrides)
    try:
        with tf32(way.tf32):
            return measure_speed(config, data, device=device, seconds=seconds, prepare=way.prepare)
    except FAILURES as error:
        return in_one_line(error)
    finally:
        torch.compiler.reset()


@contextmanager
def tf32(where: Literal["nowhere", "convolutions", "everywhere"]) -> Iterator[None]:
    """Let products of float32 be rounded to TF32 in some places within this context."""
    products: Any = torch.backends.cuda.matmul
    convolutions: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # set at run time
    before = products.fp32_precision, convolutions.fp32_precision
    products.fp32_precision = "tf32" if where == "everywhere" else "ieee"
    convolutions.fp32_precision = "ieee" if where == "nowhere" else "tf32"
    try:
        yield
    finally:
        products.fp32_precision, convolutions.fp32_precision = before
