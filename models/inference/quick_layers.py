"""Layers that compute the same as PyTorch's in less time, for networks in float32 on a CPU. Only the last bits differ.

- PyTorch's own linear layer uses MKL, which is slow on processors that are not Intel's: on an AMD EPYC with AVX-512,
  oneDNN takes two fifths of its time. PyTorch's compiler uses the same operators of oneDNN.
- PyTorch's transposed convolution is slow if its result has few maps, as in the last layer of a G. It takes five times
  as long as `models.inference.places`.
"""

import torch
from torch import nn

from models.inference.places import add_places, kernel_by_place
from models.networks.frozen import frozen_copy

ROWS = 16
"""The number of rows for which oneDNN arranges the weights; other numbers give the same results."""

ARRANGE, MULTIPLY = "_reorder_linear_weight", "_linear_pointwise"
"""The operators of `torch.ops.mkldnn`. They have no public names; where they are missing, PyTorch's own layer runs."""

MOST_MAPS = 3
"""The most maps of a transposed convolution's result for which it is replaced."""


def with_quick_layers(network: nn.Module) -> nn.Module:
    """Copy a network with `PackedLinear` and `PixelwiseUpsampling` in place of such layers. Weights are shared.

    It cannot be differentiated. If this PyTorch lacks oneDNN, or the network is on another device than the CPU, the
    network itself is returned.
    """
    if any(tensor.device.type != "cpu" for tensor in network.state_dict().values()):
        return network
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return network
    network = frozen_copy(network)
    try:
        _replace_within(network)
    except (AttributeError, NotImplementedError, RuntimeError):  # this PyTorch has no such operators
        return network
    return network


class PackedLinear(nn.Module):
    """A linear layer computed by oneDNN: [N, fan_in] float32 → [N, units] float32.

    Args:
        layer: the layer to replace; its weights are copied.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self._multiply = getattr(torch.ops.mkldnn, MULTIPLY).default
        self._weight = getattr(torch.ops.mkldnn, ARRANGE)(layer.weight.detach(), ROWS)
        self._bias = None if layer.bias is None else layer.bias.detach()
        with torch.no_grad():
            self(torch.zeros(ROWS, layer.in_features))  # raises an error here rather than later

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self._multiply(x, self._weight, self._bias, "none", [], "")
        return result

    def of_differences(self, x: torch.Tensor) -> torch.Tensor:
        """Map differences between inputs to differences between results, which have no bias."""
        result: torch.Tensor = self._multiply(x, self._weight, None, "none", [], "")
        return result


class PixelwiseUpsampling(nn.Module):
    """A transposed convolution of kernel 4, stride 2 and padding 1: [N, C, H, W] float32 → [N, maps, 2H, 2W] float32.

    Args:
        layer: the layer to replace.
    """

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        super().__init__()
        self._maps = layer.out_channels
        self._weight = kernel_by_place(layer.weight.detach())
        self._bias = None if layer.bias is None else layer.bias.detach()[:, None, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        images = self.of_differences(x)
        return images if self._bias is None else images + self._bias

    def of_differences(self, x: torch.Tensor) -> torch.Tensor:
        """Map differences between inputs to differences between results, which have no bias."""
        x = nn.functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        return add_places(nn.functional.linear(x, self._weight), maps=self._maps)


def _replace_within(network: nn.Module) -> None:
    for name, layer in network.named_children():
        match layer:
            case nn.Linear():
                setattr(network, name, PackedLinear(layer))
            case nn.ConvTranspose2d(
                kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), output_padding=(0, 0), dilation=(1, 1), groups=1
            ) if layer.out_channels <= MOST_MAPS:
                setattr(network, name, PixelwiseUpsampling(layer))
            case _:
                _replace_within(layer)
