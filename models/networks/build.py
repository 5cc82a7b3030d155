"""Building G and D from their description."""

from torch import nn

from models.images import ImageShape
from models.networks.architectures import Architecture
from models.networks.packing import PackedDiscriminator, packed_shape
from models.networks.quantised import quantised_like


def build_networks(
    architecture: Architecture,
    *,
    z_dim: int,
    image_shape: ImageShape,
    classes: int = 0,
    packing: int = 1,
    quantised: bool = False,
) -> tuple[nn.Module, nn.Module]:
    """Build G, [N, z_dim] float32 → [N, C, H, W] in [−1, 1], and D, [N, C, H, W] float32 → logits [N].

    Args:
        architecture: the architecture, with the sizes of the networks.
        z_dim: number of coordinates of a latent, including those that choose the class.
        image_shape: shape of the images.
        classes: number of classes; 0 builds unconditional networks.
        packing: number of images that D judges at once in training.
        quantised: whether G computes in whole numbers (`models.networks.quantised`); such a G is not trained further.
    """
    generator = architecture.generator(z_dim=z_dim, image_shape=image_shape, classes=classes)
    if quantised:
        generator = quantised_like(generator)
    if packing == 1:
        return generator, architecture.discriminator(image_shape=image_shape, classes=classes)
    body = architecture.discriminator(image_shape=packed_shape(image_shape, packing), classes=classes)
    return generator, PackedDiscriminator(body, packing)
