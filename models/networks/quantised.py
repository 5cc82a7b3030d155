"""The quantised G: its weights and activations are whole numbers of 8 bits, which processors multiply quickly.

A layer's input is rounded to whole numbers 0 … 255, its weights are whole numbers −127 … 127, and the sums of their
products stay below 2²⁴. So float32 holds each sum exactly, in any order of addition. Scales and biases are applied
afterwards. The layers here compute in float32, and they define the images of a quantised model;
`models.inference.integer_generator` computes the same in integers, several times as fast as float32.
Source: Jacob et al. 2018 (arXiv 1712.05877), section 2.1, with a scale for the weights of each unit.
"""

import torch
from torch import nn

from models.networks.folding import fold_batchnorm

LARGEST_INPUT = 255
LARGEST_WEIGHT = 127
EXACT_BELOW = 2**24
"""float32 holds every whole number below this one exactly."""

LARGEST_SUM = (EXACT_BELOW - 1) // LARGEST_INPUT
"""A unit's whole weights add up to at most this, so that every sum of products stays exact."""


class Quantised(nn.Module):
    """A layer whose input and weights are whole numbers; the base of the layers below.

    y = sums(q − zero_point, weight)·input_scale·weight_scale + bias, q = clamp(round(x/input_scale + zero_point), 0,
    255), where "sums" is the layer's own sum of products. The gradient is that of the layer without rounding, and 0
    where q is clamped (the straight-through estimator).

    Attributes:
        weight: whole numbers within ±127, in the shape of the float layer's weights.
        weight_scale: [units], above 0; the real weights are `weight · weight_scale`.
        bias: [units].
        input_scale: [1], above 0: the step from one whole number to the next.
        zero_point: [1], a whole number 0 … 255, the value of q for x = 0.
    """

    weight: torch.Tensor
    weight_scale: torch.Tensor
    bias: torch.Tensor
    input_scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(self, weight_shape: tuple[int, ...], units: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(weight_shape))
        self.register_buffer("weight_scale", torch.ones(units))
        self.register_buffer("bias", torch.zeros(units))
        self.register_buffer("input_scale", torch.ones(1))
        self.register_buffer("zero_point", torch.zeros(1))

    def summands(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the weights of each sum of products: [units, sums of a unit, summands]."""
        raise NotImplementedError

    @torch.no_grad()
    def fill(self, weight: torch.Tensor, bias: torch.Tensor, inputs: torch.Tensor) -> None:
        """Set the layer to quantised weights.

        The largest weight of a unit becomes ±127, unless the weights of a sum would add up to more than `LARGEST_SUM`,
        which needs more than 518 inputs: then all of the unit's weights become smaller whole numbers.

        Args:
            weight: the float layer's weights, in the shape of `self.weight`.
            bias: the float layer's biases, [units].
            inputs: float32, typical inputs of the layer; 0 … 255 cover their range, extended to include 0.
        """
        lowest, highest = min(0.0, float(inputs.min())), max(0.0, float(inputs.max()))
        self.input_scale.fill_(max(highest - lowest, 1e-6) / LARGEST_INPUT)
        self.zero_point.copy_((-lowest / self.input_scale).round())
        summands = self.summands(weight)
        self.weight_scale.copy_(summands.abs().amax(dim=(1, 2)).clamp(min=1e-12) / LARGEST_WEIGHT)
        whole = (summands / self.weight_scale[:, None, None]).round()
        too_large = _largest_sum(whole) > LARGEST_SUM
        room = LARGEST_SUM - summands.shape[2] / 2  # rounding adds at most a half for each input
        smaller = _largest_sum(summands) / room
        self.weight_scale[too_large] = smaller[too_large].float() * (1 + 1e-6)  # its rounding, too
        self.weight.copy_((weight / self._by_unit(self.weight_scale)).round())
        self.bias.copy_(bias)

    def whole(self, x: torch.Tensor) -> torch.Tensor:
        """Round an input to whole numbers, less the zero point."""
        # Each operation is rounded as in oneDNN (`models.inference.integer_generator`).
        steps = (x * (1 / self.input_scale) + self.zero_point).clamp(0, LARGEST_INPUT)
        return steps + (steps.round() - steps).detach() - self.zero_point

    def check(self) -> None:
        """Check that the loaded tensors are as the class describes them.

        Raises:
            ValueError: a tensor is wrong; the message says which, and why.
        """
        if not (self.input_scale > 0).all() or not (self.weight_scale > 0).all():
            raise ValueError("a scale is 0 or less; all scales must be above 0")
        if not _whole_within(self.zero_point, 0, LARGEST_INPUT):
            raise ValueError(f"the zero point {float(self.zero_point):g} is not a whole number 0 … {LARGEST_INPUT}")
        if not _whole_within(self.weight, -LARGEST_WEIGHT, LARGEST_WEIGHT):
            raise ValueError(f"a weight is not a whole number within ±{LARGEST_WEIGHT}")
        largest = float(_largest_sum(self.summands(self.weight)).max()) * LARGEST_INPUT
        if largest >= EXACT_BELOW:
            raise ValueError(
                f"a sum of its products could reach {largest:,.0f}; float32 is exact below {EXACT_BELOW:,}"
            )

    def without_rounding(self) -> nn.Module:
        """Return a float32 layer with the weights that this layer represents, and without rounding."""
        layer = self._float_layer()
        state = {"weight": self.weight * self._by_unit(self.weight_scale), "bias": self.bias}
        layer.load_state_dict(state, assign=True)
        return layer.requires_grad_(requires_grad=False)

    def _by_unit(self, values: torch.Tensor) -> torch.Tensor:
        """Return one value for each unit, [units], in a shape that multiplies `weight`."""
        raise NotImplementedError

    def _float_layer(self) -> nn.Module:
        """Return the float32 layer, without weights: random ones would be replaced."""
        raise NotImplementedError


class QuantisedLinear(Quantised):
    """A quantised linear layer: [N, fan_in] float32 → [N, units] float32. `weight` is [units, fan_in]."""

    def __init__(self, fan_in: int, units: int) -> None:
        super().__init__((units, fan_in), units)

    def summands(self, weight: torch.Tensor) -> torch.Tensor:
        return weight[:, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sums = nn.functional.linear(self.whole(x), self.weight)
        return sums * self.input_scale * self.weight_scale + self.bias

    def _by_unit(self, values: torch.Tensor) -> torch.Tensor:
        return values[:, None]

    def _float_layer(self) -> nn.Module:
        units, fan_in = self.weight.shape
        return nn.Linear(fan_in, units, device="meta")


class QuantisedConvTranspose2d(Quantised):
    """A quantised transposed convolution of kernel 4, stride 2 and padding 1, which doubles the side of its maps.

    [N, channels_in, H, W] float32 → [N, channels_out, 2H, 2W] float32. `weight` is [channels_in, channels_out, 4, 4]. A
    pixel of the result is a sum over 2 × 2 of the kernel's 4 × 4 places: those of its row's and column's parity.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__((channels_in, channels_out, 4, 4), channels_out)

    def summands(self, weight: torch.Tensor) -> torch.Tensor:
        return kernel_by_parity(weight).permute(1, 3, 5, 0, 2, 4).reshape(weight.shape[1], 4, -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sums = nn.functional.conv_transpose2d(self.whole(x), self.weight, stride=2, padding=1)
        return sums * self.input_scale * self.weight_scale[:, None, None] + self.bias[:, None, None]

    def _by_unit(self, values: torch.Tensor) -> torch.Tensor:
        return values[:, None, None]

    def _float_layer(self) -> nn.Module:
        channels_in, channels_out = self.weight.shape[:2]
        return nn.ConvTranspose2d(channels_in, channels_out, kernel_size=4, stride=2, padding=1, device="meta")


def kernel_by_parity(weight: torch.Tensor) -> torch.Tensor:
    """Split a kernel of 4 rows and columns, each of which is 2·half + parity: the last 4 dimensions of the result.

    Args:
        weight: [channels_in, channels_out, 4, 4].

    Returns:
        [channels_in, channels_out, half of the row, its parity, half of the column, its parity].
    """
    return weight.reshape(*weight.shape[:2], 2, 2, 2, 2)


def quantise(generator: nn.Module, latents: torch.Tensor) -> nn.Sequential:
    """Copy a trained G, fold its batch normalisation, and replace each layer with products by a quantised one.

    Args:
        generator: G, whose layers with products are `nn.Linear` and `nn.ConvTranspose2d`.
        latents: [N, z_dim] float32 from the prior, some thousands; they give the range of each layer's input.
    """
    layers: list[nn.Module] = []
    x = latents
    with torch.no_grad():
        for layer in fold_batchnorm(generator).children():
            layers.append(_quantised(layer, x))
            x = layers[-1](x)
    network = nn.Sequential(*layers).eval()
    check_quantised(network)
    return network


def quantised_like(generator: nn.Module) -> nn.Sequential:
    """Return the layers that `quantise` would make of this G, with initial tensors, to load a file into."""
    kept = (layer for layer in generator.children() if not isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d))
    return nn.Sequential(*(_like(layer) or layer for layer in kept))


def _quantised(layer: nn.Module, inputs: torch.Tensor) -> nn.Module:
    quantised = _like(layer)
    if quantised is None or not isinstance(layer, nn.Linear | nn.ConvTranspose2d):
        return layer
    bias = torch.zeros(len(quantised.bias)) if layer.bias is None else layer.bias
    quantised.fill(layer.weight, bias, inputs)
    return quantised


def _like(layer: nn.Module) -> Quantised | None:
    """Return a quantised layer of the same size, with initial tensors; None if the layer has no products."""
    match layer:
        case nn.Linear():
            return QuantisedLinear(layer.in_features, layer.out_features)
        case nn.ConvTranspose2d():
            return QuantisedConvTranspose2d(layer.in_channels, layer.out_channels)
    return None


def without_rounding(generator: nn.Module) -> nn.Module:
    """Convert a quantised G to a float32 one without rounding, with the same real weights. Any other G is unchanged."""
    if not isinstance(generator, nn.Sequential):
        return generator
    layers = (layer.without_rounding() if isinstance(layer, Quantised) else layer for layer in generator)
    return nn.Sequential(*layers).eval()


def check_quantised(network: nn.Module) -> None:
    """Check each quantised layer of a network.

    Raises:
        ValueError: a layer's tensors are wrong; the message says which, and why.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, Quantised):
            try:
                layer.check()
            except ValueError as error:
                raise ValueError(f"layer {name}: {error}") from error


def _largest_sum(summands: torch.Tensor) -> torch.Tensor:
    """Return the largest sum of absolute weights of each unit, [units] float64, from `Quantised.summands`."""
    return summands.abs().sum(dim=2, dtype=torch.float64).amax(dim=1)


def _whole_within(tensor: torch.Tensor, lowest: int, highest: int) -> bool:
    return bool(((tensor == tensor.round()) & (tensor >= lowest) & (tensor <= highest)).all())
