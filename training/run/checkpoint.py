"""The saved state of a run. A run that is resumed from it ends exactly as if it had never been stopped.

The state is one safetensors file, without pickle. It holds the weights of G, of D and of G's EMA, the optimisers'
moments, the state of the random number generator and, if it is adapted, that of the augmentation. Its metadata hold
`training.run.progress.Progress` as JSON and, to notice a changed `config.json`, the settings that led to this state.
The order of the data follows from the seed, the epoch and the number of rollbacks, so it is not stored.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from models.files import write_atomically
from models.model_folder.write import sort_metadata
from models.validation import describe_mistakes
from training.config import RunConfig
from training.errors import NotFiniteError, RunError
from training.gan.game import Game
from training.recipe import AFTER_THE_GAME
from training.run.progress import Progress

_RNG = "rng"
_AUGMENTATION = "augmentation"


def state_of(game: Game) -> dict[str, torch.Tensor]:
    """Return every tensor of a game's state (weights, moments, random state), by its name in the file."""
    tensors = {_RNG: game.rng.get_state()}
    if game.augmentation is not None:
        tensors[_AUGMENTATION] = game.augmentation.state()
    for prefix, module in _modules(game).items():
        tensors |= {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}
    for prefix, optimiser in _optimisers(game).items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"{prefix}.{index}.{name}": value for name, value in state.items() if value is not None}
    return tensors


def checked_state(game: Game, progress: Progress) -> dict[str, torch.Tensor]:
    """Return every tensor of a game's state by name, on the CPU and contiguous, and check that all are finite.

    Raises:
        NotFiniteError: a weight or a moment is NaN or infinite. This can happen one step before a loss is.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in state_of(game).items()}
    for name, tensor in contiguous.items():
        if not torch.isfinite(tensor).all():
            raise NotFiniteError(
                f"epoch {progress.epoch}, step {progress.step}: {name} holds NaN or infinity. Start a new run with "
                "lower learning rates or `--set precision=float32`"
            )
    return contiguous


def save_checkpoint(path: Path, game: Game, progress: Progress, config: RunConfig | None = None) -> None:
    """Write the whole state to `path`. After an error, an existing file at `path` is unchanged.

    Args:
        path: the file.
        game: the game.
        progress: the progress of the run.
        config: configuration of the run; None stores no settings, as earlier versions did.

    Raises:
        NotFiniteError: a weight or a moment is NaN or infinite.
        OSError: the disk is full or cannot be written.
    """
    metadata = {"progress": progress.model_dump_json()}
    if config is not None:
        metadata["settings"] = json.dumps(_settings_of(config))
    write_atomically(path, sort_metadata(save(checked_state(game, progress), metadata)))


def read_progress(path: Path) -> Progress:
    """Read the progress of the state that is saved at `path`.

    Raises:
        RunError: the file cannot be read, or is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return _progress(file)
    except (SafetensorError, OSError, KeyError, ValidationError) as error:
        raise RunError(
            f"{path} cannot be loaded: {_reason(error)}\nRestore a good copy of it, or start a new run with `fit`."
        ) from error


def load_checkpoint(path: Path, game: Game, config: RunConfig | None = None) -> Progress:
    """Put a game into the state that is saved at `path`, and return its progress.

    Args:
        path: the file.
        game: the game; after an error its state is undefined.
        config: configuration of the run, which must be the one that led to this state; None: do not compare them.

    Raises:
        RunError: the file cannot be read, is damaged, belongs to another game, or was made with other settings.
    """
    try:
        with safe_open(path, framework="pt") as file:  # open it only once, because a save may replace the file
            progress, settings = _progress(file), _settings(file)
            if config is not None and settings is not None:
                _check_settings(settings, config, path)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        for prefix, module in _modules(game).items():
            module.load_state_dict(_under(prefix, tensors))
        for prefix, optimiser in _optimisers(game).items():
            _load_optimiser(optimiser, _under(prefix, tensors), begun=progress.step > 0)
        if tensors[_RNG].dtype != torch.uint8:
            raise ValueError(f"{_RNG} has the type {tensors[_RNG].dtype}, not uint8")
        game.rng.set_state(tensors[_RNG])
        if game.augmentation is not None:
            game.augmentation.load_state(tensors[_AUGMENTATION])
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:  # a ValidationError is a ValueError
        raise RunError(
            f"{path} cannot be loaded: {_reason(error)}\nRestore a good copy of it, or start a new run with `fit`."
        ) from error
    return progress


def _reason(error: Exception) -> str:
    return describe_mistakes(error, whole="its progress") if isinstance(error, ValidationError) else str(error)


def _progress(file: safe_open) -> Progress:
    metadata = file.metadata()  # type: ignore[no-untyped-call]
    return Progress.model_validate_json((metadata or {})["progress"])


def _settings(file: safe_open) -> dict[str, object] | None:
    """Return the settings that led to the state; None if an earlier version saved it without them."""
    metadata = file.metadata()  # type: ignore[no-untyped-call]
    text = (metadata or {}).get("settings")
    if text is None:
        return None
    settings = json.loads(text)
    if not isinstance(settings, dict):
        raise ValueError(f"its settings are {text[:40]!r}, not an object")
    return settings


def _settings_of(config: RunConfig) -> dict[str, object]:
    """Return the settings that decide the states of a run; the export's own settings do not."""
    recipe = config.recipe.model_dump(mode="json", exclude={"description", *AFTER_THE_GAME})
    own = {"seed", "minutes", "on_collapse", "device", "threads", "processes", "image_shape", "classes"}
    own |= {"init_from", "extensions"}
    return config.model_dump(mode="json", include=own) | {"recipe": recipe}


def _check_settings(then: dict[str, object], config: RunConfig, path: Path) -> None:
    now = _settings_of(config)
    # `resume` may have extended the run since, so the state's extensions are the first ones of the configuration.
    before, after = then.pop("extensions", []), now.pop("extensions")
    kept = isinstance(before, list) and isinstance(after, list) and after[: len(before)] == before
    changes = [] if kept else [f"extensions is {json.dumps(after)} now, and was {json.dumps(before)}"]
    changes += [f"{name} is {new} now, and was {old}" for name, old, new in _differences(then, now)]
    if changes:
        raise RunError(
            f"{path.with_name('config.json')} was changed after {path.name} was saved: {'; '.join(changes)}. A run "
            "keeps its settings: put the old values back, or start a new run with `fit`"
        )


def _differences(
    then: Mapping[str, object], now: Mapping[str, object], prefix: str = ""
) -> Iterator[tuple[str, object, object]]:
    """Yield the name and both values of each setting that both have, and that differs."""
    for name in sorted(then.keys() & now.keys()):
        before, after = then[name], now[name]
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, f"{prefix}{name}.")
        elif before != after:
            yield f"{prefix}{name}", json.dumps(before), json.dumps(after)


def _modules(game: Game) -> dict[str, torch.nn.Module]:
    return {"generator": game.generator, "discriminator": game.discriminator, "average": game.average.network}


def _optimisers(game: Game) -> dict[str, torch.optim.Optimizer]:
    return {"generator_optimiser": game.generator_optimiser, "discriminator_optimiser": game.discriminator_optimiser}


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], *, begun: bool) -> None:
    """Check an optimiser's moments, and load them.

    PyTorch does not check them: with wrong moments, its next step would fail or begin with new ones.
    """
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        number, key = name.split(".", maxsplit=1)
        state.setdefault(int(number), {})[key] = tensor
    is_adam = isinstance(optimiser, torch.optim.Adam)  # SGD without momentum has no state
    parameters = dict(enumerate(optimiser.param_groups[0]["params"]))
    if state.keys() != parameters.keys() and (state or (is_adam and begun)):
        raise ValueError(f"it has optimiser moments for {len(state)} tensors, but the network has {len(parameters)}")
    for index, moments in state.items():
        shapes = {key: moment.shape for key, moment in moments.items() if key != "step"}
        names = ("exp_avg", "exp_avg_sq") if is_adam else ("momentum_buffer",)
        if shapes != dict.fromkeys(names, parameters[index].shape) or is_adam != ("step" in moments):
            raise ValueError(f"the optimiser moments of tensor {index} do not fit this optimiser and network")
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
