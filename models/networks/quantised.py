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


class QuantisedLinear(nn.Module):
    """A linear layer whose input and weights are whole numbers: [N, fan_in] float32 → [N, units] float32.

    y = (q − zero_point)·weightᵀ·input_scale·weight_scale + bias, q = clamp(round(x/input_scale + zero_point), 0, 255).
    The gradient is that of the layer without rounding, and 0 where q is clamped (the straight-through estimator).

    Attributes:
        weight: [units, fan_in], whole numbers within ±127.
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

    def __init__(self, fan_in: int, units: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(units, fan_in))
        self.register_buffer("weight_scale", torch.ones(units))
        self.register_buffer("bias", torch.zeros(units))
        self.register_buffer("input_scale", torch.ones(1))
        self.register_buffer("zero_point", torch.zeros(1))

    @classmethod
    @torch.no_grad()
    def of(cls, layer: nn.Linear, inputs: torch.Tensor) -> "QuantisedLinear":
        """Quantise a float layer.

        The largest weight of a unit becomes ±127, unless its weights would add up to more than `LARGEST_SUM`, which
        needs more than 518 inputs: then all of the unit's weights become smaller whole numbers.

        Args:
            layer: a linear layer with a bias.
            inputs: [N, fan_in] float32, typical inputs of the layer; 0 … 255 cover their range, extended to include 0.
        """
        quantised = cls(layer.in_features, layer.out_features)
        lowest, highest = min(0.0, float(inputs.min())), max(0.0, float(inputs.max()))
        quantised.input_scale.fill_(max(highest - lowest, 1e-6) / LARGEST_INPUT)
        quantised.zero_point.copy_((-lowest / quantised.input_scale).round())
        quantised.weight_scale.copy_(layer.weight.abs().amax(dim=1).clamp(min=1e-12) / LARGEST_WEIGHT)
        whole = (layer.weight / quantised.weight_scale[:, None]).round()
        too_large = whole.abs().sum(dim=1, dtype=torch.float64) > LARGEST_SUM
        room = LARGEST_SUM - layer.in_features / 2  # rounding adds at most a half for each input
        smaller = layer.weight.abs().sum(dim=1, dtype=torch.float64) / room
        quantised.weight_scale[too_large] = smaller[too_large].float() * (1 + 1e-6)  # its rounding, too
        quantised.weight.copy_((layer.weight / quantised.weight_scale[:, None]).round())
        quantised.bias.copy_(layer.bias)
        return quantised

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Each operation is rounded as in oneDNN (`models.inference.integer_generator`).
        steps = (x * (1 / self.input_scale) + self.zero_point).clamp(0, LARGEST_INPUT)
        whole = steps + (steps.round() - steps).detach() - self.zero_point
        return nn.functional.linear(whole, self.weight) * self.input_scale * self.weight_scale + self.bias

    def without_rounding(self) -> nn.Linear:
        """Return a float32 layer with the weights that this layer represents, and without rounding."""
        units, fan_in = self.weight.shape
        layer = nn.Linear(fan_in, units, device="meta")  # no random weights are needed: they would be replaced
        state = {"weight": self.weight * self.weight_scale[:, None], "bias": self.bias}
        layer.load_state_dict(state, assign=True)
        return layer.requires_grad_(requires_grad=False)

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
        largest = float(self.weight.abs().sum(dim=1, dtype=torch.float64).max()) * LARGEST_INPUT
        if largest >= EXACT_BELOW:
            raise ValueError(
                f"a sum of its products could reach {largest:,.0f}; float32 is exact below {EXACT_BELOW:,}"
            )


def quantise(generator: nn.Module, latents: torch.Tensor) -> nn.Sequential:
    """Copy a trained G, fold its batch normalisation, and replace each linear layer by a `QuantisedLinear`.

    Args:
        generator: G; linear layers must be its only layers with products (`Architecture.quantisable`).
        latents: [N, z_dim] float32 from the prior, some thousands; they give the range of each layer's input.

    """
    layers: list[nn.Module] = []
    x = latents
    with torch.no_grad():
        for layer in fold_batchnorm(generator).children():
            layers.append(QuantisedLinear.of(layer, x) if isinstance(layer, nn.Linear) else layer)
            x = layers[-1](x)
    quantised = nn.Sequential(*layers).eval()
    check_quantised(quantised)
    return quantised


def quantised_like(generator: nn.Module) -> nn.Sequential:
    """Return the layers that `quantise` would make of this G, with initial tensors, to load a file into."""
    return nn.Sequential(
        *(
            QuantisedLinear(layer.in_features, layer.out_features) if isinstance(layer, nn.Linear) else layer
            for layer in generator.children()
            if not isinstance(layer, nn.BatchNorm1d)
        )
    )


def without_rounding(generator: nn.Module) -> nn.Module:
    """Convert a quantised G to a float32 one without rounding, with the same real weights. Any other G is unchanged."""
    if not isinstance(generator, nn.Sequential):
        return generator
    layers = (layer.without_rounding() if isinstance(layer, QuantisedLinear) else layer for layer in generator)
    return nn.Sequential(*layers).eval()


def check_quantised(network: nn.Module) -> None:
    """Check each `QuantisedLinear` of a network.

    Raises:
        ValueError: a layer's tensors are wrong; the message says which, and why.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, QuantisedLinear):
            try:
                layer.check()
            except ValueError as error:
                raise ValueError(f"layer {name}: {error}") from error


def _whole_within(tensor: torch.Tensor, lowest: int, highest: int) -> bool:
    return bool(((tensor == tensor.round()) & (tensor >= lowest) & (tensor <= highest)).all())
