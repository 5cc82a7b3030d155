"""The model that a training begins from: read from a model folder or a run, and kept in the new run folder.

The run folder holds the model's networks in `start.safetensors`, written before `config.json`. So a run that was
stopped before its first state was saved begins again without the model, and the model may change or go.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from models.images import ImageShape
from models.model_folder.loaded_model import HASH_DIGITS, LoadedModel
from models.model_folder.write import sort_metadata
from models.networks.architectures import Architecture
from models.networks.build import build_networks
from models.networks.quantised import without_rounding
from training.config import RunConfig
from training.errors import RunError
from training.gan.game import Game
from training.gan.transfer import StartingModel, start_from
from training.gan.unfolding import unfold_batchnorm
from training.run.checkpoint import load_checkpoint
from training.run.folder import RunFolder

_FIELDS = ("reference", "architecture", "z_dim", "prior", "image_shape", "ballots", "class_names", "packing")


def start_of_model(model: LoadedModel) -> StartingModel:
    """Return a model folder's G and, unless it is or may be a judge, its D.

    A quantised G becomes float32 again; a tone curve is left out.
    """
    metadata = model.metadata
    plain, _ = build_networks(
        metadata.architecture,
        z_dim=metadata.z_dim,
        image_shape=metadata.image_shape,
        classes=metadata.ballots,
        packing=metadata.packing,
    )
    generator = without_rounding(model.generator) if metadata.quantised else model.generator
    if len(list(plain.children())) > len(list(generator.children())):  # quantising has folded its normalisation
        unfold_batchnorm(generator, plain, z_dim=metadata.z_dim, prior=metadata.prior)
        generator = plain
    return StartingModel(
        reference=model.reference,
        architecture=metadata.architecture,
        z_dim=metadata.z_dim,
        prior=metadata.prior,
        image_shape=metadata.image_shape,
        ballots=metadata.ballots,
        class_names=metadata.class_names,
        packing=metadata.packing,
        generator=generator,
        discriminator=model.discriminator if metadata.judge is False else None,
    )


def start_of_run(folder: RunFolder) -> StartingModel:
    """Return the average of G, and D, in a run's best saved state, or in its last one if it measures no states.

    Raises:
        RunError: the folder holds no run, or the run has no saved state, or it is damaged.
    """
    config = folder.read_config()
    game = Game.without_data(config, device=torch.device("cpu"))  # the state replaces all that the data decide
    load_checkpoint(folder.saved_state(), game, config)
    generator, discriminator = game.average.network, game.plain_discriminator()
    digest = hashlib.sha256(save(_tensors(generator, discriminator))).hexdigest()
    return StartingModel(
        reference=f"{folder.path.resolve().name}@{digest[:HASH_DIGITS]}",
        architecture=config.recipe.architecture,
        z_dim=config.recipe.z_dim,
        prior=config.recipe.prior,
        image_shape=config.image_shape,
        ballots=config.ballots,
        class_names=config.class_names if config.classes else (),
        packing=config.recipe.packing,
        generator=generator,
        discriminator=discriminator,
    )


def serialise_start(start: StartingModel) -> bytes:
    """Return the bytes of a run folder's `start.safetensors`. Equal models give equal bytes."""
    described = {name: getattr(start, name) for name in _FIELDS}
    for name in ("architecture", "image_shape"):
        described[name] = described[name].model_dump(mode="json")
    tensors = _tensors(start.generator, start.discriminator)
    return sort_metadata(save(tensors, {"start": json.dumps(described)}))


def read_start(path: Path, *, reference: str) -> StartingModel:
    """Read the starting model of a run.

    Args:
        path: the file.
        reference: the name and version of the model, as the run's configuration has it.

    Raises:
        RunError: the file is missing or damaged, or it is of another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            fields = json.loads(file.metadata()["start"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        if fields["reference"] != reference:
            raise ValueError(f"it holds {fields['reference']}, and config.json says {reference}")
        architecture: Architecture = TypeAdapter(Architecture).validate_python(fields["architecture"])
        shape = ImageShape.model_validate(fields["image_shape"])
        sizes = {"z_dim": fields["z_dim"], "classes": fields["ballots"], "packing": fields["packing"]}
        networks = build_networks(architecture, image_shape=shape, **sizes)
        has_discriminator = any(name.startswith("discriminator.") for name in tensors)
        sides = {"generator": networks[0]} | ({"discriminator": networks[1]} if has_discriminator else {})
        for side, network in sides.items():
            state = {n.removeprefix(f"{side}."): t for n, t in tensors.items() if n.startswith(f"{side}.")}
            network.load_state_dict(_with_counters(state, network))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError, ValidationError) as error:
        raise RunError(
            f"{path} cannot be loaded: {error}\nThe run began from the model {reference}, and has no saved state yet: "
            "start it again with `fit --init-from`, in another folder."
        ) from error
    return StartingModel(
        **{name: fields[name] for name in ("reference", "z_dim", "prior", "ballots", "packing")},
        class_names=tuple(fields["class_names"]),
        architecture=architecture,
        image_shape=shape,
        generator=sides["generator"],
        discriminator=sides.get("discriminator"),
    )


def begin_from_model(game: Game, config: RunConfig, folder: RunFolder, *, say: Callable[[str], None]) -> None:
    """Give a new game the weights of the model that its run begins from, if there is one, and say what was taken.

    Raises:
        RunError: the model's file in the run folder is missing or damaged.
    """
    if config.init_from is None:
        return
    game.processes.wait_for_first()  # it may still be writing the file
    start = read_start(folder.start_file, reference=config.init_from)
    for line in start_from(game, start, config.class_names if config.classes else ()):
        say(line)


def _tensors(generator: nn.Module, discriminator: nn.Module | None) -> dict[str, torch.Tensor]:
    """Return the floating-point tensors of G and, if there is one, of D, by the names of their file."""
    return {
        f"{side}.{name}": tensor.detach().contiguous()
        for side, network in (("generator", generator), ("discriminator", discriminator))
        if network is not None
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }


def _with_counters(state: dict[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """Add batch normalisation's counters of batches, which are not kept because nothing uses them."""
    own = network.state_dict()
    return state | {name: t for name, t in own.items() if not t.is_floating_point() and name not in state}
