"""Transfer: G and D begin with the weights of a model, where its layers fit, and not with random ones.

Layers are compared from the image on, because the layers next to it are those that images of other sides and other
classes share: the layers of G are counted from its end, and those of D from its beginning. A layer is taken if all its
tensors have the same shapes. Two layers can be taken in part: G's first one, whose inputs are noise and classes, and
D's last one, whose outputs are logits of classes. Everything else keeps its first weights, which the recipe draws.

A D that was trained on alone after its game, a judge, is not taken: it knows so well what is real that G learns
nothing from it (docs/experiments.md).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from models.images import ImageShape
from models.latents import Prior
from models.networks.architectures import Architecture
from models.networks.build import build_networks
from models.networks.conditional import Ballots
from training.gan.game import Game
from training.gan.players import build_players

POWER_ITERATIONS = 15
"""Steps that find the largest singular value of a layer that was replaced; PyTorch takes as many for a new one."""


@dataclass(frozen=True)
class StartingModel:
    """A trained pair in float32, from which a training can begin.

    Attributes:
        reference: the name and version of the model, `name@hash`.
        architecture: the architecture and sizes of the networks.
        z_dim: the number of coordinates of a latent.
        prior: the distribution of a latent's coordinates.
        image_shape: the shape of the images.
        ballots: the number of classes or clusters; 0 for an unconditional pair.
        class_names: the names of the classes; empty for clusters, which have no identity, and without classes.
        packing: the number of images that D judges at once.
        generator: G with float32 weights, never quantised.
        discriminator: the D that played the game, without spectral normalisation; None if the model has only a judge.
    """

    reference: str
    architecture: Architecture
    z_dim: int
    prior: Prior
    image_shape: ImageShape
    ballots: int
    class_names: tuple[str, ...]
    packing: int
    generator: nn.Module
    discriminator: nn.Module | None


@dataclass
class Account:
    """Which layers were taken, and which begin anew, in words.

    Attributes:
        taken: the layers, or parts of layers, whose weights are the model's.
        anew: those with new weights.
    """

    taken: list[str]
    anew: list[str]

    def lines(self, reference: str) -> list[str]:
        """Return the lines for the log: one for what was taken, and one for what begins anew."""
        return [
            f"taken from {reference}: {'; '.join(self.taken) or 'nothing'}",
            f"begun anew, as the recipe draws first weights: {'; '.join(self.anew) or 'nothing'}",
        ]


def start_from(game: Game, start: StartingModel, class_names: tuple[str, ...]) -> list[str]:
    """Give G, D and the average of G the weights of a model, before the first step.

    Args:
        game: a new game, changed in place. Optimisers, random numbers and the classes' head starts stay as they are.
        start: the model; its architecture must be the game's.
        class_names: the names of the game's classes; a class of the same name begins with the weights of the model's.

    Returns:
        One line that says which layers were taken, and one that says which begin anew.
    """
    account = Account([], [])
    classes = {
        start.class_names.index(name): number for number, name in enumerate(class_names) if name in start.class_names
    }
    with torch.device("meta"):
        plain_g, plain_d = build_players(game.recipe, shape=game.shape, classes=game.classes)
    with torch.no_grad():
        _transfer_generator(game, start, plain_g, classes, account)
        if start.discriminator is None:
            account.anew.append("D (the model's is a judge, or may be one)")
        else:
            _transfer_discriminator(game, start, start.discriminator, plain_d, classes, account)
        for average, network in zip(_tensors(game.average.network), _tensors(game.generator), strict=True):
            average.copy_(network)
    return account.lines(start.reference)


def _transfer_generator(
    game: Game, start: StartingModel, plain: nn.Module, classes: Mapping[int, int], account: Account
) -> None:
    source, target = _layers_of_generator(start.generator), _layers_of_generator(plain)
    first = next(iter(target))
    rest = {place: path for place, path in target.items() if place != first}
    if game.recipe.z_dim == start.z_dim and _are_same(classes, start.ballots, game.classes):
        rest = target
    elif _fits(plain, target[first], start.generator, source.get(first), but_for=1):
        layer, old = game.generator.get_submodule(target[first]), start.generator.get_submodule(source[first])
        _copy_inputs(layer, old, noise=_noise(game, start), classes=classes, ballots=(start.ballots, game.classes))
        whole = f"layer {target[first]} of G"
        account.taken.append(f"of {whole} the inputs of {_noise(game, start)} coordinates of noise{_kept(classes)}")
        left = game.recipe.z_dim - _noise(game, start) - len(classes)
        if left:
            account.anew.append(f"of {whole} {left} inputs (other classes, or more noise)")
    else:
        account.anew.append(f"layer {target[first]} of G")
    _copy_layers("G", game.generator, plain, rest, start.generator, source, account)


def _transfer_discriminator(
    game: Game,
    start: StartingModel,
    discriminator: nn.Module,
    plain: nn.Module,
    classes: Mapping[int, int],
    account: Account,
) -> None:
    source, target = _layers_of_discriminator(discriminator), _layers_of_discriminator(plain)
    (last, path), (old_last, old_path) = list(target.items())[-1], list(source.items())[-1]
    rest = {place: path for place, path in target.items() if place != last}
    if _are_same(classes, start.ballots, game.classes):
        rest = target
    elif last == old_last and classes and _fits(plain, path, discriminator, old_path, but_for=0):
        old = discriminator.get_submodule(old_path)
        _copy_outputs(game.discriminator.get_submodule(path), old, classes)
        account.taken.append(f"of layer {path} of D the logits of {len(classes)} classes of the same names")
        if len(classes) < game.classes:
            account.anew.append(f"of layer {path} of D the logits of {game.classes - len(classes)} classes")
    else:
        account.anew.append(f"layer {path} of D (the logits)")
    _copy_layers("D", game.discriminator, plain, rest, discriminator, source, account)


def _copy_layers(
    player: str,
    network: nn.Module,
    plain: nn.Module,
    target: Mapping[str, str],
    old: nn.Module,
    source: Mapping[str, str],
    account: Account,
) -> None:
    """Copy each layer that fits as a whole. `target` and `source` give the paths of layers by their places."""
    taken, anew = [], []
    for place, path in target.items():
        if not _fits(plain, path, old, source.get(place)):
            anew.append(path)
            continue
        taken.append(path)
        layer = network.get_submodule(path)
        for name, tensor in _own(old.get_submodule(source[place])).items():
            _put(layer, name, tensor)
    for paths, to in ((taken, account.taken), (anew, account.anew)):
        if paths:
            to.append(f"layer{'s' if len(paths) > 1 else ''} {', '.join(paths)} of {player}")


def _copy_inputs(
    layer: nn.Module, old: nn.Module, *, noise: int, classes: Mapping[int, int], ballots: tuple[int, int]
) -> None:
    """Copy the weights of a layer whose inputs are noise, and then classes: the first `noise` inputs, and `classes`."""
    weight, source = layer.get_parameter("weight").clone(), old.get_parameter("weight")
    weight[:, :noise] = source[:, :noise]
    for before, now in classes.items():
        weight[:, weight.shape[1] - ballots[1] + now] = source[:, source.shape[1] - ballots[0] + before]
    for name, tensor in _own(old).items():
        _put(layer, name, weight if name == "weight" else tensor)


def _copy_outputs(layer: nn.Module, old: nn.Module, classes: Mapping[int, int]) -> None:
    """Copy the weights and biases of the outputs of classes, by their numbers before and now."""
    for name, tensor in _own(old).items():
        values: torch.Tensor = getattr(layer, name).clone()
        for before, now in classes.items():
            values[now] = tensor[before]
        _put(layer, name, values)


def _put(layer: nn.Module, name: str, values: torch.Tensor) -> None:
    """Set a tensor of a layer, also if spectral normalisation computes it."""
    if not is_parametrized(layer, name):
        getattr(layer, name).copy_(values)
        return
    setattr(layer, name, values.detach().to(getattr(layer, name).device))
    for _ in range(POWER_ITERATIONS):  # in training mode, each reading takes a step
        getattr(layer, name)


def _are_same(classes: Mapping[int, int], before: int, now: int) -> bool:
    """Whether the classes before and now are the same, with the same numbers; or there are none."""
    return before == now == len(classes) and all(old == new for old, new in classes.items())


def _noise(game: Game, start: StartingModel) -> int:
    """Return the number of coordinates of noise that the latents of both have."""
    return min(game.recipe.z_dim - game.classes, start.z_dim - start.ballots)


def _kept(classes: Mapping[int, int]) -> str:
    return f" and of {len(classes)} classes of the same names" if classes else ""


def _layers_of_generator(generator: nn.Module) -> dict[str, str]:
    """Return the paths of G's layers that have tensors, by their places counted from G's end. Ballots have no place."""
    length = len(list(generator.children()))
    layers = {}
    for path in _paths(generator):
        if not isinstance(generator.get_submodule(path), Ballots):
            first, dot, rest = path.partition(".")
            layers[f"{int(first) - length}{dot}{rest}"] = path
    return layers


def _layers_of_discriminator(discriminator: nn.Module) -> dict[str, str]:
    """Return the paths of D's layers that have tensors, by their places counted from D's beginning.

    D for classes and D for packs hold their layers in a `body`.
    """
    layers = {}
    for path in _paths(discriminator):
        place = path
        while place.startswith("body."):
            place = place.removeprefix("body.")
        layers[place] = path
    return layers


def _paths(network: nn.Module) -> Iterator[str]:
    """Yield the path of each module that has parameters or buffers of its own, in their order."""
    for path, module in network.named_modules():
        if path and _own(module):
            yield path


def _own(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return a module's own floating-point parameters and buffers, without those of its parts, by name."""
    own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    return {name: tensor for name, tensor in own if tensor.is_floating_point()}


def _tensors(network: nn.Module) -> list[torch.Tensor]:
    return [*network.parameters(), *network.buffers()]


def _fits(plain: nn.Module, path: str, old: nn.Module, old_path: str | None, *, but_for: int | None = None) -> bool:
    """Whether two layers have tensors of the same names and shapes; the size of dimension `but_for` may differ."""
    if old_path is None:
        return False
    new, before = (_own(network.get_submodule(of)) for network, of in ((plain, path), (old, old_path)))

    def shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, list[int]]:
        return {name: [n for dim, n in enumerate(t.shape) if dim != but_for] for name, t in tensors.items()}

    return shapes(new) == shapes(before)


def same_networks(one: Architecture, other: Architecture, start: StartingModel) -> bool:
    """Whether two architectures build networks of the same layers and sizes, for the images and classes of a model."""

    def shapes(architecture: Architecture) -> list[dict[str, torch.Size]]:
        with torch.device("meta"):
            pair = build_networks(
                architecture,
                z_dim=start.z_dim,
                image_shape=start.image_shape,
                classes=start.ballots,
                packing=start.packing,
            )
        return [{name: tensor.shape for name, tensor in network.state_dict().items()} for network in pair]

    return shapes(one) == shapes(other)
