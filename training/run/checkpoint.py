"""The saved state of a run. A run that is resumed from it ends exactly as if it had never been stopped.

The state is one safetensors file, without pickle. It holds the weights of G, of D and of G's EMA, the optimisers'
moments, and the state of the random number generator; its metadata hold `training.run.progress.Progress` as JSON. The
order of the data follows from the seed, the epoch and the number of rollbacks, so it is not stored.
"""

from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from models.files import write_atomically
from training.errors import NotFiniteError, RunError
from training.gan.game import Game
from training.run.progress import Progress

_RNG = "rng"


def state_of(game: Game) -> dict[str, torch.Tensor]:
    """Return every tensor of a game's state (weights, moments, random state), by its name in the file."""
    tensors = {_RNG: game.rng.get_state()}
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
                f"epoch {progress.epoch}, step {progress.step}: {name} holds NaN or infinity. The last saved "
                "state is unchanged; start a new run with lower learning rates or `--set precision=float32`"
            )
    return contiguous


def save_checkpoint(path: Path, game: Game, progress: Progress) -> None:
    """Write the whole state to `path`. After an error, an existing file at `path` is unchanged.

    Raises:
        NotFiniteError: a weight or a moment is NaN or infinite.
        OSError: the disk is full or cannot be written.
    """
    write_atomically(path, save(checked_state(game, progress), {"progress": progress.model_dump_json()}))


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
            f"{path} cannot be loaded: {error}\nRestore a good copy of it, or start a new run with `fit`."
        ) from error


def load_checkpoint(path: Path, game: Game) -> Progress:
    """Put a game into the state that is saved at `path`, and return its progress.

    Raises:
        RunError: the file cannot be read, is damaged, or belongs to another game.
    """
    try:
        with safe_open(path, framework="pt") as file:  # open it only once, because a save may replace the file
            progress = _progress(file)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        for prefix, module in _modules(game).items():
            module.load_state_dict(_under(prefix, tensors))
        for prefix, optimiser in _optimisers(game).items():
            _load_optimiser(optimiser, _under(prefix, tensors), begun=progress.step > 0)
        if tensors[_RNG].dtype != torch.uint8:
            raise ValueError(f"{_RNG} has the type {tensors[_RNG].dtype}, not uint8")
        game.rng.set_state(tensors[_RNG])
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:  # a ValidationError is a ValueError
        raise RunError(
            f"{path} cannot be loaded: {error}\nRestore a good copy of it, or start a new run with `fit`."
        ) from error
    return progress


def _progress(file: safe_open) -> Progress:
    metadata = file.metadata()  # type: ignore[no-untyped-call]
    return Progress.model_validate_json((metadata or {})["progress"])


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
