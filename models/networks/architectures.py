"""The list of architectures. An architecture holds the sizes of its networks, and builds G and D.

Each one has the methods `generator(z_dim=…, image_shape=…)`, `discriminator(image_shape=…)` and `initialise(…)`. The
layers of G that have products are those that `models.networks.quantised` knows.
To add an architecture, write its file beside the others and add it to the union below.
"""

from typing import Annotated, TypeAlias

from pydantic import Field

from models.networks.conv import Conv
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.mlp import MLP
from models.networks.residual import Residual

Architecture: TypeAlias = Annotated[MLP | Goodfellow2014 | Conv | Residual, Field(discriminator="name")]
