"""Copies of networks for inference."""

import torch
from torch import nn

from models.networks.frozen import frozen_copy


def test_it_shares_weights_and_nothing_else() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Dropout()).train()
    copied = frozen_copy(network)
    assert isinstance(copied, nn.Sequential)
    assert not copied.training
    assert network.training
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    for name, tensor in network.state_dict().items():
        assert copied.state_dict()[name].data_ptr() == tensor.data_ptr()
    copied[0] = nn.Identity()
    assert isinstance(network[0], nn.Linear)


def test_the_same_weights_in_two_places_stay_the_same() -> None:
    layer = nn.Linear(2, 2)
    copied = frozen_copy(nn.Sequential(layer, nn.Tanh(), layer))
    assert isinstance(copied, nn.Sequential)
    assert copied[0] is copied[2]
    x = torch.randn(3, 2)
    assert torch.equal(copied(x), layer(torch.tanh(layer(x))))
