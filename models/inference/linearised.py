"""A network with its Jacobian: forward-mode differentiation along all directions at once, layer by layer.

Most layers are linear, up to a bias, or act on each value alone. For these the rule is simple, and such layers may be
quick ones (`models.inference.quick_layers`), which PyTorch cannot differentiate. PyTorch differentiates the others.
"""

import warnings
from collections.abc import Callable, Iterable
from functools import cache
from typing import TypeAlias

import torch
from torch import nn
from torch.func import jvp, vmap

from models.inference.quick_layers import PackedLinear, PixelwiseUpsampling
from models.networks.conditional import Ballots
from models.networks.conv import CentreCrop
from models.networks.goodfellow2014 import Affine
from models.networks.layers import Float32
from models.networks.residual import ChannelsLast, Doubled, ResidualBlock

DIRECTIONS_AT_ONCE = 128
"""The most rows of a Jacobian that are computed at once, to limit memory."""

EACH_VALUE_ALONE = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, Affine)
"""Layers that act on each value alone."""

Step: TypeAlias = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""A layer's result for one input, [1, …], and the differences of its results along each direction, [directions, …]."""


class Linearised:
    """A network in evaluation mode that returns its Jacobian, too.

    Args:
        network: [N, inputs] float32 → [N, …] float32; each row of the result depends on the same row of the input.
    """

    def __init__(self, network: nn.Module) -> None:
        self._steps = _steps_of(network)

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the network's result for an input [inputs], [results], and its Jacobian, [inputs, results]."""
        eye = torch.eye(len(x), device=x.device)
        parts = [self._along(x, directions) for directions in torch.split(eye, DIRECTIONS_AT_ONCE)]
        return parts[0][0], torch.cat([jacobian for _, jacobian in parts])

    def _along(self, x: torch.Tensor, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        result, differences = _through(self._steps, x[None], directions)
        return result.flatten(), differences.flatten(1)


def _steps_of(network: nn.Module) -> list[Step]:
    layers: Iterable[nn.Module] = network if isinstance(network, nn.Sequential) else [network]
    return [_step_of(layer) for layer in layers]


def _through(steps: list[Step], x: torch.Tensor, along: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    for step in steps:
        x, along = step(x, along)
    return x, along


def _step_of(layer: nn.Module) -> Step:
    linear = _linear_part(layer)
    if linear is not None:
        return lambda x, along: (layer(x), linear(along))
    if isinstance(layer, Ballots):
        return lambda x, along: (layer(x), layer.along(x, along))
    if isinstance(layer, EACH_VALUE_ALONE):
        return lambda x, along: _of_each_value(layer, x, along)
    if isinstance(layer, ResidualBlock):
        steps = _steps_of(layer.branch)
        return lambda x, along: _of_block(steps, x, along)
    return lambda x, along: _differentiated(layer, x, along)


def _linear_part(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Return the map of differences by a layer that is linear up to a bias; None for other layers."""
    match layer:
        case PackedLinear() | PixelwiseUpsampling():
            return layer.of_differences
        case nn.Linear():
            return lambda along: nn.functional.linear(along, layer.weight)
        case nn.ConvTranspose2d(
            stride=stride, padding=tuple(padding), output_padding=(0, 0), dilation=(1, 1), groups=1
        ):
            return lambda along: nn.functional.conv_transpose2d(along, layer.weight, stride=stride, padding=padding)
        case nn.Conv2d(padding=tuple(padding)) if layer.padding_mode == "zeros":
            return lambda along: nn.functional.conv2d(
                along, layer.weight, stride=layer.stride, padding=padding, dilation=layer.dilation, groups=layer.groups
            )
        case nn.Unflatten() | CentreCrop() | Float32() | ChannelsLast() | Doubled():
            return layer
    return None


def _of_each_value(layer: nn.Module, x: torch.Tensor, along: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.enable_grad():
        values = x.detach().requires_grad_()
        results = layer(values)
        (slopes,) = torch.autograd.grad(results.sum(), values)
    return results.detach(), along * slopes


def _of_block(steps: list[Step], x: torch.Tensor, along: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    result, differences = _through(steps, x, along)
    return x + result, along + differences


def _differentiated(layer: nn.Module, x: torch.Tensor, along: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    def of_one(row: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = layer(row[None])
        return result[0]

    def in_direction(direction: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        result, difference = jvp(of_one, (x[0],), (direction,))[:2]
        return result, difference

    _load_forward_mode()
    results, differences = vmap(in_direction)(along)
    return results[:1], differences


@cache
def _load_forward_mode() -> None:
    """Load PyTorch's forward-mode differentiation, which takes about a second and warns at its first use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        jvp(torch.sin, (torch.zeros(1),), (torch.ones(1),))
