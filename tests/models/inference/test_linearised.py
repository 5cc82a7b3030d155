"""A network with its Jacobian, against PyTorch's own differentiation."""

import pytest
import torch
from torch import nn
from torch.func import jacrev

from models.images import ImageShape
from models.inference import linearised
from models.inference.linearised import Linearised
from models.inference.quick_layers import with_quick_layers
from models.networks.conv import Conv
from models.networks.folding import fold_batchnorm
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.mlp import MLP
from models.networks.residual import Residual

Z_DIM = 7


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    ("architecture", "shape", "classes"),
    [
        (MLP(generator_widths=(12,)), ImageShape(height=16, width=16), 3),
        (Goodfellow2014(generator_widths=(12, 9)), ImageShape(channels=3, height=16, width=16), 0),
        (Conv(generator_widths=(9,), generator_channels=(6, 5)), ImageShape(height=18, width=18), 3),
        (Residual(generator_channels=3, group_width=3, blocks=2), ImageShape(channels=3, height=18, width=18), 3),
    ],
)
def test_it_is_the_jacobian(
    architecture: MLP | Goodfellow2014 | Conv | Residual,
    shape: ImageShape,
    classes: int,
    quick: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linearised, "DIRECTIONS_AT_ONCE", 3)
    monkeypatch.setattr(linearised, "_differentiated", lambda *_: pytest.fail("PyTorch's forward mode costs a second"))
    torch.manual_seed(0)
    generator = fold_batchnorm(architecture.generator(z_dim=Z_DIM, image_shape=shape, classes=classes))
    z = torch.randn(Z_DIM)
    with torch.no_grad():
        image, jacobian = Linearised(with_quick_layers(generator) if quick else generator)(z)
        torch.testing.assert_close(image, generator(z[None]).flatten(), atol=1e-5, rtol=1e-4)
    right = jacrev(lambda latent: generator(latent[None]).flatten())(z).T
    assert jacobian.shape == (Z_DIM, shape.pixels)
    torch.testing.assert_close(jacobian, right, atol=1e-5, rtol=1e-3)


def test_a_network_of_another_kind() -> None:
    class Squares(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.square().sum(dim=1, keepdim=True)

    with torch.no_grad():
        result, jacobian = Linearised(Squares())(torch.tensor([1.0, 2.0, 3.0]))
    assert result.tolist() == [14.0]
    assert jacobian.flatten().tolist() == [2.0, 4.0, 6.0]
