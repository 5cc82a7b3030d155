"""The quantised G in integer arithmetic: oneDNN multiplies bytes and adds in 32 bits, several times as fast as floats.

The sums are exact, as in `models.networks.quantised`, and all later operations are rounded in the same order. So the
bits of a row depend neither on the rows computed with it nor on the number of threads. The two computations differ only
in the last bit of tanh, which changes one of millions of pixels by one grey level.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.images import to_uint8, to_uint8_in_place
from models.networks.conditional import Ballots
from models.networks.layers import Float32
from models.networks.quantised import LARGEST_INPUT, QuantisedLinear

TILE_ROWS = (4, 8, 32, 64, 128, 256, 512)
"""Tile sizes to try (`models.inference.tiles`), in rows. Starting a product takes as long as 30 of its rows."""

ROWS_AT_ONCE = 512
"""The most rows in one call: more rows gain little speed, and the next call would wait longer."""

PRODUCTS_AT_ONCE = 400_000_000
"""The most products of two bytes in one call. They take about two milliseconds, for which the next call waits."""

PROBE_ROWS = 64
MAX_LEVELS_APART = 1
MIN_SHARE_EQUAL = 0.999


def in_integers(generator: nn.Module, *, z_dim: int) -> "IntegerNetwork | None":
    """Convert a quantised G to a network that computes in integers, or return None if that is impossible.

    It is impossible if G is not quantised, if oneDNN does not support its layers, or if this processor's integer
    products saturate, as they do without special instructions. The network is tested on `PROBE_ROWS` latents.

    Args:
        generator: the network G.
        z_dim: width of a latent.
    """
    if not isinstance(generator, nn.Sequential) or not any(isinstance(layer, QuantisedLinear) for layer in generator):
        return None
    latents = torch.randn(PROBE_ROWS, z_dim, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        try:
            network = IntegerNetwork(generator)
            seen = to_uint8(network.images(torch.from_numpy(network.whole(latents.numpy()))))
        except (AttributeError, NotImplementedError, RuntimeError):  # this PyTorch or processor has no such products
            return None
        right = to_uint8(generator(latents))
    apart = np.abs(seen.astype(int) - right)
    return network if apart.max() <= MAX_LEVELS_APART and (apart == 0).mean() >= MIN_SHARE_EQUAL else None


class IntegerNetwork:
    """A quantised G in two steps: latents → whole numbers, and whole numbers → images.

    The `Ballots` layer before the first linear layer and the layers after the last tanh run in float32, unchanged.

    Args:
        generator: a quantised G.

    Attributes:
        ballots: the `Ballots` layer, which is G's first and chooses the class; None if G is not conditional.
        rows_at_once: the most rows (latents) in one call, 64 to `ROWS_AT_ONCE`, so that it ends after about two
            milliseconds.

    Raises:
        NotImplementedError: G has layers that oneDNN does not support.
    """

    def __init__(self, generator: nn.Sequential) -> None:
        layers = [layer for layer in generator if not isinstance(layer, Float32)]
        linear = {k: layer for k, layer in enumerate(layers) if isinstance(layer, QuantisedLinear)}
        places = list(linear)
        self.ballots = _ballots_of(layers[: places[0]])
        self._steps = (1 / linear[places[0]].input_scale).numpy()
        self._zero_point = linear[places[0]].zero_point.numpy()
        self._products = [
            _Product(linear[place], layers[place + 1 : behind], linear[behind]) for place, behind in pairwise(places)
        ]
        end = places[-1] + 1
        ends_in_tanh = end < len(layers) and isinstance(layers[end], nn.Tanh)
        if ends_in_tanh:
            end += 1
        self._products.append(_Product(linear[places[-1]], layers[places[-1] + 1 : end], None))
        self._tail = [_cheaper(layer) for layer in layers[end:]]
        self._is_bounded = ends_in_tanh and all(isinstance(layer, nn.Unflatten) for layer in layers[end:])
        products = sum(layer.weight.numel() for layer in linear.values())
        self.rows_at_once = min(ROWS_AT_ONCE, max(1, PRODUCTS_AT_ONCE // (64 * products)) * 64)

    def whole(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Convert latents [N, z_dim] float32 to the first linear layer's input, [N, z_dim] uint8."""
        return self.rounded(latents if self.ballots is None else self.ballots.of_array(latents))

    def rounded(self, x: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Round inputs of the first linear layer, float32 of any shape, to whole numbers 0 … 255, uint8."""
        steps = x * self._steps  # NumPy's operations start faster than PyTorch's
        steps += self._zero_point
        np.rint(steps, out=steps)
        np.maximum(steps, 0, out=steps)
        np.minimum(steps, LARGEST_INPUT, out=steps)
        whole: NDArray[np.uint8] = steps.astype(np.uint8)
        return whole

    def images(self, whole: torch.Tensor) -> torch.Tensor:
        """Compute images [N, C, H, W] float32 in [−1, 1] from whole numbers [N, z_dim] uint8."""
        for product in self._products:
            whole = product(whole)
        for layer in self._tail:
            whole = layer(whole)
        return whole

    def in_bytes(self, images: torch.Tensor) -> NDArray[np.uint8]:
        """Convert results of `images` to [N, H, W] or [N, H, W, 3] uint8. `images` may be overwritten."""
        return to_uint8_in_place(images.numpy()) if self._is_bounded else to_uint8(images)


def _ballots_of(layers: list[nn.Module]) -> Ballots | None:
    """Return the `Ballots` layer before the first linear one, or None if there is no layer.

    Raises:
        NotImplementedError: there are other layers.
    """
    match layers:
        case []:
            return None
        case [Ballots() as ballots]:
            return ballots
    raise NotImplementedError(f"there is no integer network that begins with {layers}")


def _cheaper(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that computes the same as a layer, without the microseconds that calling `nn.Module` takes."""
    if isinstance(layer, nn.Unflatten) and layer.dim == 1:
        shape = tuple(layer.unflattened_size)
        return lambda x: x.view(len(x), *shape)
    return layer


class _Product:
    """A linear layer with its activation: uint8 [N, fan_in] → uint8 [N, units], the next linear layer's input.

    Args:
        layer: the linear layer.
        activation: the layers between `layer` and the next linear layer: one layer, or none.
        behind: the linear layer that follows; None for the last one, whose results are float32.

    Raises:
        NotImplementedError: oneDNN does not have this activation.
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
    """Return the name and the arguments with which oneDNN applies an activation after a product."""
    match list(activation):
        case []:
            return "none", []
        case [nn.ReLU()]:
            return "relu", []
        case [nn.LeakyReLU(negative_slope=slope)]:
            return "leaky_relu", [slope]
        case [nn.Tanh()]:
            return "tanh", []
    raise NotImplementedError(f"oneDNN's product does not support the activation {activation}")
