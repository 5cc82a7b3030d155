"""Linear layers whose weights oneDNN has arranged once, for networks in float32 on a CPU.

PyTorch's own linear layer uses MKL, which is slow on processors that are not Intel's: on an AMD EPYC with AVX-512,
oneDNN takes two fifths of its time. The results differ in the last bits. PyTorch's compiler uses the same operators.
"""

import copy

import torch
from torch import nn

ROWS = 16
"""The number of rows for which oneDNN arranges the weights; other numbers give the same results."""

ARRANGE, MULTIPLY = "_reorder_linear_weight", "_linear_pointwise"
"""The operators of `torch.ops.mkldnn`. They have no public names; where they are missing, PyTorch's own layer runs."""


def packed(network: nn.Module) -> nn.Module:
    """Copy a network with `PackedLinear` in place of each linear layer. It cannot be differentiated.

    If this PyTorch lacks oneDNN, the network itself is returned.
    """
    if not torch.backends.mkldnn.is_available():
        return network
    # Weights are shared with the network, unless they are packed.
    shared = {id(tensor): tensor for tensor in network.state_dict(keep_vars=True).values()}
    network = copy.deepcopy(network, shared)
    try:
        _pack_within(network)
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
        with torch.no_grad():
            self._multiply = getattr(torch.ops.mkldnn, MULTIPLY).default
            self._weight = getattr(torch.ops.mkldnn, ARRANGE)(layer.weight.detach(), ROWS)
            self._bias = None if layer.bias is None else layer.bias.detach()
            self(torch.zeros(ROWS, layer.in_features))  # raises an error here rather than later

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self._multiply(x, self._weight, self._bias, "none", [], "")
        return result


def _pack_within(network: nn.Module) -> None:
    for name, layer in network.named_children():
        if isinstance(layer, nn.Linear):
            setattr(network, name, PackedLinear(layer))
        else:
            _pack_within(layer)
