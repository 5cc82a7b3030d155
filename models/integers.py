"""The quantised G computed in integers, by oneDNN: bytes times bytes into 32-bit sums, several times as fast.

The sums are exact here as in `models.quantised`, and every step after them is rounded in the same order: a row's bits
depend neither on the rows beside it nor on the number of threads. What is left between the two is the last bit of tanh,
of one pixel in millions a grey level.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.conditional import Ballots
from models.images import to_uint8
from models.layers import Float32
from models.quantised import LARGEST_INPUT, QuantisedLinear

TILE_ROWS = (4, 8, 32, 64, 128, 256)
"""Rows of the tiles to try (`models.tiles`): the way into a product takes as long as 30 rows of it."""

ROWS_AT_ONCE = 256
"""Rows of one call at most: with more each row takes little less."""

PRODUCTS_AT_ONCE = 200_000_000
"""Of one call: about a millisecond, for which the next call waits."""

PROBE_ROWS = 64
MAX_LEVELS_APART = 1
MIN_SHARE_EQUAL = 0.999


def in_integers(generator: nn.Module, *, z_dim: int) -> "IntegerNetwork | None":
    """A quantised G as a function that computes in integers: [N, z_dim] float32 → [N, C, H, W] float32 in [−1, 1].

    None where that cannot be: G is not quantised or has layers that oneDNN does not take, or this processor's integer
    products are not the right ones (without instructions of their own, they saturate).
    """
    if not isinstance(generator, nn.Sequential) or not any(isinstance(layer, QuantisedLinear) for layer in generator):
        return None
    latents = torch.randn(PROBE_ROWS, z_dim, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        try:
            network = IntegerNetwork(generator)
            seen = to_uint8(network(latents))
        except (AttributeError, NotImplementedError, RuntimeError):  # of a PyTorch or a processor without such products
            return None
        right = to_uint8(generator(latents))
    apart = np.abs(seen.astype(int) - right)
    return network if apart.max() <= MAX_LEVELS_APART and (apart == 0).mean() >= MIN_SHARE_EQUAL else None


class IntegerNetwork:
    """The ballots before the first linear layer, and the layers after the last one's tanh, run in float32 as they are.

    Args:
        generator: a quantised G.

    Attributes:
        rows_at_once: of one call at most, so that it ends in about a millisecond: 64 to `ROWS_AT_ONCE`.

    Raises:
        NotImplementedError: it has layers that oneDNN does not take.
    """

    def __init__(self, generator: nn.Sequential) -> None:
        layers = [layer for layer in generator if not isinstance(layer, Float32)]
        linear = {k: layer for k, layer in enumerate(layers) if isinstance(layer, QuantisedLinear)}
        places = list(linear)
        self._head = _head_of(layers[: places[0]])
        self._steps = (1 / linear[places[0]].input_scale).numpy()
        self._zero_point = linear[places[0]].zero_point.numpy()
        self._products = [
            _Product(linear[place], layers[place + 1 : behind], linear[behind]) for place, behind in pairwise(places)
        ]
        end = places[-1] + 1
        if end < len(layers) and isinstance(layers[end], nn.Tanh):
            end += 1
        self._products.append(_Product(linear[places[-1]], layers[places[-1] + 1 : end], None))
        self._tail = layers[end:]
        products = sum(layer.weight.numel() for layer in linear.values())
        self.rows_at_once = min(ROWS_AT_ONCE, max(1, PRODUCTS_AT_ONCE // (64 * products)) * 64)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.from_numpy(self._whole(self._head(x)))
        for product in self._products:
            x = product(x)
        for layer in self._tail:
            x = layer(x)
        return x

    def _whole(self, x: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The input in whole numbers; NumPy takes less time than PyTorch to begin with so little."""
        steps = x * self._steps
        steps += self._zero_point
        np.rint(steps, out=steps)
        np.maximum(steps, 0, out=steps)
        np.minimum(steps, LARGEST_INPUT, out=steps)
        whole: NDArray[np.uint8] = steps.astype(np.uint8)
        return whole


def _head_of(layers: list[nn.Module]) -> Callable[[torch.Tensor], NDArray[np.float32]]:
    """What comes before the first linear layer."""
    match layers:
        case []:
            return lambda x: x.numpy()
        case [Ballots() as ballots]:
            return lambda x: ballots.of_array(x.numpy())
    raise NotImplementedError(f"there is no integer network that begins with {layers}")


class _Product:
    """One linear layer and its activation: uint8 [N, fan_in] → uint8 [N, units], as the layer behind it wants them.

    Args:
        layer: the linear layer.
        activation: what follows it, one layer or none.
        behind: the next linear layer; None for the last one, whose results are float32.

    Raises:
        NotImplementedError: oneDNN has no such activation.
    """

    def __init__(self, layer: QuantisedLinear, activation: Sequence[nn.Module], behind: QuantisedLinear | None) -> None:
        units, fan_in = layer.weight.shape
        name, arguments = _post_op(activation)
        scale, zero_point, dtype = 1.0, 0, torch.float32
        if behind is not None:
            scale, zero_point, dtype = float(behind.input_scale), int(behind.zero_point), torch.uint8
        self._multiply = torch.ops.onednn.qlinear_pointwise.default
        self._before = (float(layer.input_scale), int(layer.zero_point))
        self._weight = torch.ops.onednn.qlinear_prepack(layer.weight.to(torch.int8), [PROBE_ROWS, fan_in])
        self._weights = (layer.weight_scale, torch.zeros(units, dtype=torch.int32), layer.bias)
        self._after = (scale, zero_point, dtype, name, arguments, "")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self._multiply(x, *self._before, self._weight, *self._weights, *self._after)
        return result


def _post_op(activation: Sequence[nn.Module]) -> tuple[str, list[float]]:
    """The name and the arguments by which oneDNN knows an activation."""
    match list(activation):
        case []:
            return "none", []
        case [nn.ReLU()]:
            return "relu", []
        case [nn.LeakyReLU(negative_slope=slope)]:
            return "leaky_relu", [slope]
        case [nn.Tanh()]:
            return "tanh", []
    raise NotImplementedError(f"oneDNN's product has nothing for {activation}")
