"""Products of bytes: the layers of a quantised G in integer arithmetic, from rows of uint8 to rows of uint8.

oneDNN multiplies bytes and adds in 32 bits. The sums are exact, and all later operations are rounded in the order of
`models.networks.quantised`. A map of features is stored with its channels last, so that the bytes that are multiplied
together lie side by side.
"""

from collections.abc import Sequence

import torch
from torch import nn

from models.inference.places import add_places, kernel_by_place
from models.networks.quantised import Quantised, QuantisedConvTranspose2d, QuantisedLinear

PREPARED_ROWS = 64
"""The number of rows for which oneDNN arranges the weights; other numbers give the same results."""


class LinearProduct:
    """A linear layer with its activation: uint8 [N, fan_in] → uint8 [N, units], the next product's input.

    Args:
        layer: the linear layer.
        activation: the layers between `layer` and the next product: one layer, or none.
        behind: the quantised layer that follows; None for the last one, whose results are float32.
        channels: the number of maps that the units are, in G's order [channels, H, W]; the results are in the order
            [H, W, channels].

    Attributes:
        products: number of products of two bytes for one row of G's input.

    Raises:
        NotImplementedError: oneDNN does not have this activation.
    """

    def __init__(
        self, layer: QuantisedLinear, activation: Sequence[nn.Module], behind: Quantised | None, *, channels: int = 1
    ) -> None:
        order = torch.arange(len(layer.bias)).view(channels, -1).T.flatten()
        self._multiply = _Multiply(
            layer.weight[order], layer, layer.weight_scale[order], layer.bias[order], activation, behind
        )
        self.products = layer.weight.numel()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._multiply(x)


class UpsamplingProduct:
    """A transposed convolution between two others, with its activation.

    It maps uint8 [N, H·W·channels_in] to uint8 [N, 2H + 2, 2W + 2, channels_out], whose border of one pixel holds the
    next layer's zero point. The input may have such a border, too. A 2 × 2 patch of the input, wherever it lies,
    determines 2 × 2 pixels of the result. So the layer is a linear one from the patches, [4·channels_in], to the
    pixels, [4·channels_out].

    Args:
        layer: the transposed convolution.
        activation: the layers between `layer` and the next product: one layer, or none.
        behind: the transposed convolution that follows.
        side: H and W of the input, without its border.

    Attributes:
        products: number of products of two bytes for one row of G's input.

    Raises:
        NotImplementedError: oneDNN does not have this activation.
    """

    def __init__(
        self,
        layer: QuantisedConvTranspose2d,
        activation: Sequence[nn.Module],
        behind: QuantisedConvTranspose2d,
        *,
        side: int,
    ) -> None:
        self._side = side
        self._channels, self._units = layer.weight.shape[:2]
        self._zero_point, self._next_zero_point = int(layer.zero_point), int(behind.zero_point)
        # Of the kernel's rows 0 … 3, the upper pixel of a patch's result takes 2 and 0, and the lower one 3 and 1.
        taps = torch.tensor([[2, 0], [3, 1]])
        weight = layer.weight[:, :, taps][..., taps]  # in, out, and for rows and columns: pixel of result, of patch
        weight = weight.permute(2, 4, 1, 3, 5, 0)
        self._multiply = _Multiply(
            weight.reshape(4 * self._units, 4 * self._channels),
            layer,
            layer.weight_scale.repeat(4),
            layer.bias.repeat(4),
            activation,
            behind,
        )
        self.products = weight.numel() * (side + 1) ** 2

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = _bordered(x, self._side, self._channels, self._zero_point)
        n, patches = len(x), self._side + 1
        row, column = x.stride()[1:3]
        windows = x.as_strided((n, patches, patches, 2, 2 * self._channels), (x.stride(0), row, column, row, 1))
        result = self._multiply(windows.reshape(n * patches**2, 4 * self._channels))
        result = result.view(n, patches, patches, 2, 2 * self._units).transpose(2, 3)
        bordered = result.reshape(n, 2 * patches, 2 * patches, self._units)
        for edge in (0, 2 * patches - 1):
            bordered.select(1, edge).fill_(self._next_zero_point)
            bordered.select(2, edge).fill_(self._next_zero_point)
        return bordered


class LastUpsampling:
    """A transposed convolution with few units, G's last product: uint8 → float32 [N, channels_out, 2H, 2W].

    It is computed place by place of the kernel (`models.inference.places`).

    Args:
        layer: the transposed convolution.
        side: H and W of the input, without its border.

    Attributes:
        products: number of products of two bytes for one row of G's input.
    """

    def __init__(self, layer: QuantisedConvTranspose2d, *, side: int) -> None:
        self._side = side
        self._channels, self._units = layer.weight.shape[:2]
        self._zero_point = int(layer.zero_point)
        self._input_scale = float(layer.input_scale)
        self._weight_scale, self._bias = layer.weight_scale[:, None, None], layer.bias[:, None, None]
        weight = kernel_by_place(layer.weight)
        none = torch.zeros(len(weight))
        self._multiply = _Multiply(weight, layer, torch.ones(len(weight)), none, (), None, input_scale=1.0)
        self.products = weight.numel() * (side + 2) ** 2

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = _bordered(x, self._side, self._channels, self._zero_point)
        n, bordered = x.shape[:2]
        places = self._multiply(x.view(n * bordered**2, self._channels)).view(n, bordered, bordered, -1)
        images = add_places(places, maps=self._units)  # exact, because the sums are whole numbers below 2²⁴
        return (images * self._input_scale).mul_(self._weight_scale).add_(self._bias)


def _bordered(x: torch.Tensor, side: int, channels: int, zero_point: int) -> torch.Tensor:
    """Return maps with a border of one pixel: [N, side + 2, side + 2, channels], from maps with or without it."""
    if x.dim() == 4:
        return x
    x = x.view(len(x), side, side, channels)
    return nn.functional.pad(x, (0, 0, 1, 1, 1, 1), value=zero_point)


class _Multiply:
    """A product of rows of bytes with a matrix, and what follows it: scales, biases, the activation, and rounding.

    Args:
        weight: [units, fan_in], whole numbers within ±127.
        layer: the layer, whose scale and zero point the input has.
        weight_scale: [units].
        bias: [units].
        activation: the layers that follow: one layer, or none.
        behind: the quantised layer whose input the results are; None for results in float32.
        input_scale: the scale to apply in place of the layer's.

    Raises:
        NotImplementedError: oneDNN does not have this activation.
    """

    def __init__(
        self,
        weight: torch.Tensor,
        layer: Quantised,
        weight_scale: torch.Tensor,
        bias: torch.Tensor,
        activation: Sequence[nn.Module],
        behind: Quantised | None,
        *,
        input_scale: float | None = None,
    ) -> None:
        units, fan_in = weight.shape
        name, arguments = _post_op(activation)
        scale, zero_point, dtype = 1.0, 0, torch.float32
        if behind is not None:
            scale, zero_point, dtype = float(behind.input_scale), int(behind.zero_point), torch.uint8
        self._operator = torch.ops.onednn.qlinear_pointwise.default
        self._before = (float(layer.input_scale) if input_scale is None else input_scale, int(layer.zero_point))
        self._weight = torch.ops.onednn.qlinear_prepack(weight.to(torch.int8).contiguous(), [PREPARED_ROWS, fan_in])
        self._weights = (weight_scale, torch.zeros(units, dtype=torch.int32), bias)
        self._after = (scale, zero_point, dtype, name, arguments, "")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self._operator(x, *self._before, self._weight, *self._weights, *self._after)
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
