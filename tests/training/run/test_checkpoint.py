"""The saved state: the errors for damaged files, and states that must never be saved."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.training.support import make_config, make_game, real_batch_of, tiny_recipe, write_npz
from training.errors import NotFiniteError, RunError
from training.gan.game import Game
from training.run.checkpoint import load_checkpoint, save_checkpoint
from training.run.progress import Progress


@pytest.fixture
def game() -> Game:
    game = make_game(tiny_recipe("mlp"))
    game.discriminator_step(real_batch_of(9))
    game.generator_step(real_batch_of(9))
    return game


@pytest.fixture
def path(tmp_path: Path, game: Game) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, game, Progress(epoch=2, step=1, images=9))
    return path


def rewrite(
    path: Path,
    *,
    drop: str = "",
    replace: dict[str, torch.Tensor] | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    tensors = {name: tensor for name, tensor in load_file(path).items() if not drop or not name.startswith(drop)}
    save_file(tensors | (replace or {}), path, metadata or {"progress": Progress(step=1).model_dump_json()})


def test_a_saved_state_comes_back(path: Path):
    other = make_game(tiny_recipe("mlp"), seed=9)
    assert load_checkpoint(path, other) == Progress(epoch=2, step=1, images=9)


def test_a_state_that_an_earlier_version_saved_without_settings(path: Path, game: Game, tmp_path: Path):
    config = make_config(tiny_recipe("mlp"), write_npz(tmp_path / "data.npz"))
    other = config.model_copy(update={"seed": config.seed + 1})
    assert load_checkpoint(path, game, other).step == 1
    save_checkpoint(path, game, Progress(), config)
    again = path.read_bytes()
    save_checkpoint(path, game, Progress(), config)
    assert path.read_bytes() == again  # the order of the metadata is fixed
    load_checkpoint(path, game, config)
    with pytest.raises(RunError, match=r"config\.json was changed .*: seed is 6 now, and was 5\. "):
        load_checkpoint(path, game, other)


@pytest.mark.parametrize("settings", ["", "[]", "{", "7"])
def test_settings_that_say_nothing(path: Path, game: Game, tmp_path: Path, settings: str):
    config = make_config(tiny_recipe("mlp"), write_npz(tmp_path / "data.npz"))
    rewrite(path, metadata={"progress": Progress(step=1).model_dump_json(), "settings": settings})
    with pytest.raises(RunError, match="cannot be loaded"):
        load_checkpoint(path, game, config)


def test_the_file_names_its_parts(path: Path):
    parts = {name.split(".")[0] for name in load_file(path)}
    assert parts == {"generator", "discriminator", "average", "generator_optimiser", "discriminator_optimiser", "rng"}


def test_truncated_at_any_place(path: Path, game: Game):
    whole = path.read_bytes()
    for length in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(RunError, match=r"checkpoint\.safetensors cannot be loaded: "):
            load_checkpoint(path, game)


def test_a_damaged_header_is_a_run_error_or_the_state(path: Path, game: Game):
    whole = path.read_bytes()
    (length,) = struct.unpack_from("<Q", whole)
    refused = 0
    for position in range(0, 8 + length, 23):
        data = bytearray(whole)
        data[position] ^= 0x01
        path.write_bytes(data)
        try:
            load_checkpoint(path, game)
        except RunError:
            refused += 1
    assert refused > (8 + length) / 23 * 0.5


@pytest.mark.parametrize(
    "metadata", [{"other": "x"}, {"progress": "{"}, {"progress": "{}x"}, {"progress": '{"epoch": 0}'}]
)
def test_metadata_that_says_nothing(path: Path, game: Game, metadata: dict[str, str]):
    rewrite(path, metadata=metadata)
    with pytest.raises(RunError, match="cannot be loaded"):
        load_checkpoint(path, game)


@pytest.mark.parametrize(
    "part", ["generator.0", "discriminator", "average", "rng", "generator_optimiser", "discriminator_optimiser.1"]
)
def test_a_missing_part(path: Path, game: Game, part: str):
    rewrite(path, drop=part)
    with pytest.raises(RunError, match="cannot be loaded"):
        load_checkpoint(path, game)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("rng", torch.zeros(3, dtype=torch.uint8)),
        ("rng", torch.zeros(5056)),
        ("generator.0.weight", torch.zeros(2, 2)),
        ("generator_optimiser.0.exp_avg", torch.zeros(2, 2)),
        ("generator_optimiser.x", torch.zeros(2)),
        ("generator_optimiser.99.exp_avg", torch.zeros(2)),
    ],
)
def test_a_part_of_another_shape(path: Path, game: Game, name: str, tensor: torch.Tensor):
    rewrite(path, replace={name: tensor})
    with pytest.raises(RunError, match="cannot be loaded"):
        load_checkpoint(path, game)


@pytest.mark.parametrize("name", ["goodfellow2014", "conv"])
def test_the_state_of_another_game(path: Path, name: str):
    with pytest.raises(RunError, match="cannot be loaded"):
        load_checkpoint(path, make_game(tiny_recipe(name)))


def test_another_optimiser(path: Path):
    sgd = 'generator_optimiser={name="sgd", learning_rate=0.1, momentum_start=0.5, momentum_final=0.5}'
    with pytest.raises(RunError, match="cannot be loaded"):
        load_checkpoint(path, make_game(tiny_recipe("mlp", sgd)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("side", ["generator", "discriminator"])
def test_a_state_that_is_not_finite_is_not_saved(path: Path, game: Game, side: str, value: float):
    """Weights may become NaN one step before the loss does, and must not be saved over the last good state."""
    before = path.read_bytes()
    with torch.no_grad():
        next(getattr(game, side).parameters()).flatten()[0] = value
    with pytest.raises(NotFiniteError, match=rf"^epoch 3, step 7: {side}\.\S+ holds NaN or infinity"):
        save_checkpoint(path, game, Progress(epoch=3, step=7))
    assert path.read_bytes() == before


def test_before_the_first_step_there_are_no_moments(tmp_path: Path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, make_game(tiny_recipe("mlp")), Progress())
    assert not [name for name in load_file(path) if "optimiser" in name]
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        assert json.loads(json.loads(file.read(length))["__metadata__"]["progress"])["epoch"] == 1
    load_checkpoint(path, make_game(tiny_recipe("mlp")))


def test_gradient_descent_without_momentum_has_no_moments(tmp_path: Path):
    sgd = '{name="sgd", learning_rate=0.1}'
    recipe = tiny_recipe("mlp", f"generator_optimiser={sgd}", f"discriminator_optimiser={sgd}")
    first, second = make_game(recipe), make_game(recipe, seed=4)
    path = tmp_path / "checkpoint.safetensors"
    first.discriminator_step(real_batch_of(9))
    save_checkpoint(path, first, Progress(step=1))
    assert load_checkpoint(path, second).step == 1
    steps = [game.discriminator_step(real_batch_of(9)) for game in (first, second)]
    assert steps[0] == steps[1]


def test_a_state_is_read_from_one_file_though_another_is_saved_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """If `export` reads while the run saves, the progress and the weights come from the same state."""
    path = tmp_path / "checkpoint.safetensors"
    game = make_game(tiny_recipe("mlp"))
    save_checkpoint(path, game, Progress(images=1))
    validate = Progress.model_validate_json

    def save_another(text: str) -> Progress:
        other = make_game(tiny_recipe("mlp"), seed=4)
        save_checkpoint(path, other, Progress(images=2))
        return validate(text)

    monkeypatch.setattr(Progress, "model_validate_json", save_another)
    loaded = make_game(tiny_recipe("mlp"), seed=5)
    assert load_checkpoint(path, loaded).images == 1
    weights = loaded.generator.state_dict()
    assert all(bool((weights[name] == tensor).all()) for name, tensor in game.generator.state_dict().items())
