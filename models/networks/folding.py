"""Folding of batch normalisation: in evaluation mode it is an affine map, which the layer before it can include."""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from models.networks.frozen import frozen_copy


@torch.no_grad()
def fold_batchnorm(network: nn.Module) -> nn.Module:
    """Copy a network in evaluation mode, and merge each batch-normalisation layer into the layer before it if possible.

    This is done for `nn.Sequential`; any other network is copied unchanged. Weights that stay as they are share the
    memory of the original's (`models.networks.frozen`). The copy computes the same function up to
    float32 rounding (about 1e-6 of a pixel's range).
    """
    network = frozen_copy(network)
    if not isinstance(network, nn.Sequential):
        return network
    folded: list[nn.Module] = []
    for layer in network:
        before = folded[-1] if folded else None
        if isinstance(layer, nn.BatchNorm1d) and isinstance(before, nn.Linear):
            folded[-1] = fuse_linear_bn_eval(before, layer)
        elif isinstance(layer, nn.BatchNorm2d) and len(folded) > 1 and isinstance(folded[-2], nn.Linear):
            folded[-2] = fuse_linear_bn_eval(folded[-2], _by_feature(layer, folded[-2].out_features))
        elif isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.ConvTranspose2d):
            folded[-1] = fuse_conv_bn_eval(before, layer, transpose=True)
        elif isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            folded[-1] = fuse_conv_bn_eval(before, layer)
        else:
            folded.append(layer)
    return nn.Sequential(*folded)


def _by_feature(layer: nn.BatchNorm2d, features: int) -> nn.BatchNorm1d:
    """Convert batch normalisation of maps [C, H, W] to one of flat vectors, which a linear layer can include."""
    flat = nn.BatchNorm1d(features, eps=layer.eps).eval()
    pixels = features // layer.num_features
    flat.load_state_dict({n: t.repeat_interleave(pixels) if t.dim() else t for n, t in layer.state_dict().items()})
    return flat
