"""Copies of networks for inference, which take no memory for weights again."""

import copy

import torch
from torch import nn


def frozen_copy(network: nn.Module) -> nn.Module:
    """Copy a network in evaluation mode, without gradients. Its weights share the memory of the original's.

    Layers of the copy can be replaced, and the original is not changed. But if the original is trained on, the copy's
    weights change, too.
    """
    memo: dict[int, torch.Tensor] = {
        id(parameter): nn.Parameter(parameter.detach(), requires_grad=False) for parameter in network.parameters()
    }
    memo |= {id(buffer): buffer.detach() for buffer in network.buffers()}
    return copy.deepcopy(network, memo).eval()
