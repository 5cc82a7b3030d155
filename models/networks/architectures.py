"""All architectures: each is a set of sizes that builds its own pair of networks, G and D.

Every architecture offers `generator(z_dim=…, image_shape=…)`, `discriminator(image_shape=…)` and `initialise(…)`, and
says whether its G is `quantisable`: whether only linear layers multiply in it (`models.networks.quantised`). To add an
architecture, write its file beside the others and name it here.
"""

from typing import Annotated, TypeAlias

from pydantic import Field

from models.networks.conv import Conv
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.mlp import MLP

Architecture: TypeAlias = Annotated[MLP | Goodfellow2014 | Conv, Field(discriminator="name")]
