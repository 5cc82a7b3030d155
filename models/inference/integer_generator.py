"""The quantised G in integer arithmetic: oneDNN multiplies bytes and adds in 32 bits, several times as fast as floats.

The sums are exact, as in `models.networks.quantised`, and all later operations are rounded in the same order. So the
bits of a row depend neither on the rows computed with it nor on the number of threads. The two computations differ only
in the last bit of tanh, which changes one of millions of pixels by one grey level.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.images import to_uint8, to_uint8_in_place
from models.inference.integer_products import LastUpsampling, LinearProduct, UpsamplingProduct
from models.networks.conditional import Ballots
from models.networks.conv import CentreCrop
from models.networks.layers import Float32
from models.networks.quantised import LARGEST_INPUT, Quantised, QuantisedConvTranspose2d, QuantisedLinear

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
    if not isinstance(generator, nn.Sequential) or not any(isinstance(layer, Quantised) for layer in generator):
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

    The `Ballots` layer before the first product and the layers after the last one run in float32, unchanged.

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
        quantised = {k: layer for k, layer in enumerate(layers) if isinstance(layer, Quantised)}
        first, last = min(quantised), max(quantised)
        self.ballots = _ballots_of(layers[:first])
        self._steps = (1 / quantised[first].input_scale).numpy()
        self._zero_point = quantised[first].zero_point.numpy()
        self._products, tail = _products_of(layers[first:])
        self._tail = [_cheaper(layer) for layer in tail]
        self._is_bounded = _is_bounded(layers[last + 1 :])
        products = sum(product.products for product in self._products)
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
    """Return the `Ballots` layer before the first product, or None if there is no layer.

    Raises:
        NotImplementedError: there are other layers.
    """
    match layers:
        case []:
            return None
        case [Ballots() as ballots]:
            return ballots
    raise NotImplementedError(f"there is no integer network that begins with {layers}")


Product: TypeAlias = LinearProduct | UpsamplingProduct | LastUpsampling


def _products_of(layers: list[nn.Module]) -> tuple[list[Product], list[nn.Module]]:
    """Return the products of the layers from the first quantised one on, and the layers after the last product.

    Raises:
        NotImplementedError: oneDNN does not support the layers.
    """
    places = [k for k, layer in enumerate(layers) if isinstance(layer, Quantised)]
    products: list[Product] = []
    side = 0
    for place, next_place in zip(places, [*places[1:], None], strict=True):
        between = layers[place + 1 : next_place]
        behind = None if next_place is None else layers[next_place]
        match layers[place], behind:
            case QuantisedLinear() as layer, QuantisedConvTranspose2d():
                [unflatten, *activation] = between
                if not isinstance(unflatten, nn.Unflatten):
                    raise NotImplementedError(f"there is no integer network in which maps follow {unflatten}")
                channels, side, _ = unflatten.unflattened_size
                products.append(LinearProduct(layer, activation, behind, channels=channels))
            case QuantisedLinear() as layer, None:
                activation = [end for end in between[:1] if isinstance(end, nn.Tanh)]
                products.append(LinearProduct(layer, activation, None))
                return products, between[len(activation) :]
            case QuantisedLinear() as layer, QuantisedLinear():
                products.append(LinearProduct(layer, between, behind))
            case QuantisedConvTranspose2d() as layer, QuantisedConvTranspose2d():
                products.append(UpsamplingProduct(layer, between, behind, side=side))
                side *= 2
            case QuantisedConvTranspose2d() as layer, None:
                products.append(LastUpsampling(layer, side=side))
                return products, between
    raise NotImplementedError(f"there is no integer network of the layers {layers}")


def _is_bounded(layers: list[nn.Module]) -> bool:
    """Whether images are within [−1, 1] after these layers, without a clip."""
    kinds = {type(layer) for layer in layers}
    return nn.Tanh in kinds and kinds <= {nn.Tanh, nn.Unflatten, CentreCrop}


def _cheaper(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that computes the same as a layer in less time. It may overwrite its argument."""
    if isinstance(layer, nn.Unflatten) and layer.dim == 1:
        shape = tuple(layer.unflattened_size)
        return lambda x: x.view(len(x), *shape)
    if isinstance(layer, nn.Tanh):
        return _tanh
    return layer


def _tanh(x: torch.Tensor) -> torch.Tensor:
    values = x.numpy()  # NumPy takes a tenth of PyTorch's time; the last bit may differ
    return torch.from_numpy(np.tanh(values, out=values if values.flags.c_contiguous else None))
