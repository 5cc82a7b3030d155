"""The architectures there are, each a set of sizes that builds its own pair of networks.

Every architecture offers `generator(z_dim=…, image_shape=…)`, `discriminator(image_shape=…)` and `initialise(…)`, and
says whether its G is `quantisable`: whether all of its products are linear layers' (`models.networks.quantised`).
Add one: write its file beside these, and name it here.
"""

from typing import Annotated, TypeAlias

from pydantic import Field

from models.networks.conv import Conv
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.mlp import MLP

Architecture: TypeAlias = Annotated[MLP | Goodfellow2014 | Conv, Field(discriminator="name")]
