"""Write G and D of a model folder as two ONNX files, after both have been compared with the folder."""

from collections.abc import Callable
from pathlib import Path

from models.files import write_atomically
from models.model_folder.loaded_model import LoadedModel
from training.onnx_export.checker import check_discriminator, check_generator
from training.onnx_export.conversion import convert
from training.onnx_export.description import describe_discriminator, describe_generator
from training.onnx_export.networks import DrawingNetwork, ImageType, drawing_inputs, judging, judging_inputs


def generator_file(model: LoadedModel, images: ImageType = "uint8") -> bytes:
    """Return the bytes of G's ONNX file. Equal model folders give equal bytes."""
    file = convert(DrawingNetwork(model, images), drawing_inputs(model), output="images")
    describe_generator(file, model, images)
    data: bytes = file.SerializeToString(deterministic=True)
    return data


def discriminator_file(model: LoadedModel) -> bytes:
    """Return the bytes of D's ONNX file. Equal model folders give equal bytes."""
    file = convert(judging(model), judging_inputs(model), output="logits")
    describe_discriminator(file, model)
    data: bytes = file.SerializeToString(deterministic=True)
    return data


def write_onnx(
    model: LoadedModel, to: tuple[Path, Path], *, images: ImageType = "uint8", say: Callable[[str], None] = print
) -> None:
    """Write G and D as ONNX files. Neither is written unless ONNX Runtime computes with both what the folder does.

    Args:
        model: the model folder.
        to: the paths of G's file and of D's; files that are there are replaced, each completely or not at all.
        images: the type of G's images.
        say: function that receives a line about each comparison.

    Raises:
        OnnxError: ONNX Runtime computes something else than the folder.
        OSError: the disk is full or cannot be written.
    """
    generator, discriminator = generator_file(model, images), discriminator_file(model)
    say(str(check_generator(generator, model, images)))
    say(str(check_discriminator(discriminator, model)))
    for path, data in zip(to, (generator, discriminator), strict=True):
        write_atomically(path, data)
