"""What an ONNX file says about itself: the model that it comes from, and what goes in and comes out."""

import json

import onnx
from onnx import helper

from models.model_folder.loaded_model import LoadedModel
from training.onnx_export.networks import ImageType

_PRIORS = {
    "normal": "N(0, 1)",
    "uniform": "the uniform distribution on (−√3, √3)",
}


def describe_generator(file: onnx.ModelProto, model: LoadedModel, images: ImageType) -> None:
    """Write into the file of G what it is, and how it is used."""
    metadata = model.metadata
    height, width = metadata.image_shape.height, metadata.image_shape.width
    inputs = {"latents": f"float32 [N, {metadata.z_dim}]: independent coordinates from {_PRIORS[metadata.prior]}"}
    if metadata.classes:
        inputs["class"] = (
            f"int64 [N]: the class of each image, 0 to {metadata.classes - 1}, or −1: the class that the latent chooses"
        )
    shape = f"[N, {metadata.image_shape.channels}, {height}, {width}]"
    grey = f"uint8 {shape}: grey levels 0 to 255, which are the pixels of the model's images"
    values = f"float32 {shape} in [−1, 1]: G's values before they are rounded to grey levels, without the tone curve"
    outputs = {"images": grey if images == "uint8" else values}
    _describe(file, model, f"G of {model.reference}: it draws images", "generator", inputs, outputs)


def describe_discriminator(file: onnx.ModelProto, model: LoadedModel) -> None:
    """Write into the file of D what it is, how it is used, and the quantiles that turn a logit into percentiles."""
    shape = model.metadata.image_shape
    inputs = {
        "images": f"float32 [N, {shape.channels}, {shape.height}, {shape.width}] in [−1, 1]: grey level / 127.5 − 1"
    }
    outputs = {"logits": "float32 [N]: the larger, the more real is the image; 1/(1 + exp(−logit)) is D(x)"}
    _describe(file, model, f"D of {model.reference}: it judges images", "discriminator", inputs, outputs)
    _add(file, {"calibration": model.metadata.calibration.model_dump(mode="json", exclude_none=True)})


def _describe(
    file: onnx.ModelProto,
    model: LoadedModel,
    title: str,
    network: str,
    inputs: dict[str, str],
    outputs: dict[str, str],
) -> None:
    metadata = model.metadata
    ends = {**inputs, **outputs}
    file.graph.name = f"{model.name} {network}"
    file.doc_string = "\n".join([f"{title}.", *(f"{name}: {text}." for name, text in ends.items())])
    for end in (*file.graph.input, *file.graph.output):
        end.doc_string = ends[end.name]
    _add(
        file,
        {
            "name": model.name,
            "version": model.reference,
            "network": network,
            "architecture": metadata.architecture.name,
            "prior": metadata.prior,
            "z_dim": metadata.z_dim,
            "image_shape": metadata.image_shape.chw,
            "classes": metadata.classes,
            "class_names": metadata.class_names,
            "licence": metadata.licence,
            "dataset": metadata.dataset,
            "inputs": inputs,
            "outputs": outputs,
        },
    )


def _add(file: onnx.ModelProto, entries: dict[str, object]) -> None:
    """Add metadata, which are texts in ONNX: a text stays as it is, and everything else becomes JSON."""
    known = {entry.key: entry.value for entry in file.metadata_props}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for name, value in entries.items()
    }
    helper.set_model_props(file, known | texts)
