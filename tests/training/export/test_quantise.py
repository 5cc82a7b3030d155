"""Export a run with 8-bit integer weights of G."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.grids import assemble_grid
from models.inference.sampler import Sampler
from models.latents import draw_latents
from models.model_folder.read import load_model
from models.networks.quantised import QuantisedLinear
from tests.training.support import TINY_MLP, exported_bytes, make_config, play, run, sets, tiny_recipe, write_npz
from training.cli.command_line import main
from training.run.folder import RunFolder


def test_a_g_in_whole_numbers(tmp_path: Path) -> None:
    """`quantise` makes the exported G a quantised one; its figures and its last picture come from the quantised G."""
    config = make_config(tiny_recipe("mlp", "quantise=true", "epochs=1"), write_npz(tmp_path / "data.npz"))
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    play(folder, config)
    first = exported_bytes(folder, config, tmp_path / "model")
    assert exported_bytes(folder, config, tmp_path / "model") == first
    model = load_model(tmp_path / "model")
    assert model.metadata.quantised
    assert any(isinstance(layer, QuantisedLinear) for layer in model.generator.modules())
    assert "million weights of 8 bits, D" in model.card
    assert main(["export", str(folder.path), "--to", str(tmp_path / "float"), "--set", "quantise=false"]) == 0
    in_float = load_model(tmp_path / "float")
    assert not in_float.metadata.quantised
    latents = torch.from_numpy(draw_latents(0, 0, 64, z_dim=4, prior="normal"))
    with torch.no_grad():
        difference = (model.generator(latents) - in_float.generator(latents)).abs()
    assert 0 < difference.max() < 0.1


def test_a_model_is_quantised_afterwards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`judge --quantise` gives the G that `export` would have given, and leaves the rest of the model as it is."""
    data = write_npz(tmp_path / "data.npz")
    config = make_config(tiny_recipe("conv", "quantise=true", "epochs=1"), data)
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    play(folder, config)
    old, new, wanted = tmp_path / "old", tmp_path / "new", tmp_path / "wanted"
    assert main(["export", str(folder.path), "--to", str(old), "--set", "quantise=false"]) == 0
    assert main(["export", str(folder.path), "--to", str(wanted)]) == 0
    capsys.readouterr()
    assert main(["judge", str(old), "--to", str(new), "--data", str(data), "--steps", "0", "--quantise"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["quantising G", "balancing D"]
    before, after, right = load_model(old), load_model(new), load_model(wanted)
    assert (before.metadata.quantised, after.metadata.quantised) == (False, True)
    for name, tensor in right.generator.state_dict().items():
        assert torch.equal(tensor, after.generator.state_dict()[name])
    assert after.timeline[-1].sha256 == right.timeline[-1].sha256 != before.timeline[-1].sha256
    assert after.timeline[0].sha256 == before.timeline[0].sha256
    assert f"training judge old --to new --data {data} --steps 0 --seed 5 --threads " in after.card
    assert "## G in whole numbers" in after.card

    assert main(["judge", str(new), "--to", str(tmp_path / "x"), "--data", str(data), "--quantise"]) == 2
    said = capsys.readouterr().err
    assert f"--quantise: G of {after.reference} has 8-bit weights already; leave the option out" in said
    assert main(["judge", str(new), "--to", str(tmp_path / "later"), "--data", str(data), "--steps", "2"]) == 0
    assert load_model(tmp_path / "later").metadata.quantised


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_whole_chain_on_any_number_of_threads(tmp_path: Path, threads: int) -> None:
    """Run fit, export, evaluate and sample; with several threads, the rows of G's inputs are divided among them."""
    write_npz(tmp_path / "data.npz")
    settings = sets([*TINY_MLP, "quantise=true"])
    commands = (
        ["fit", "mlp", "--data", "data.npz", "--epochs", "1", "--threads", str(threads), *settings],
        ["export", "runs/mlp", "--to", "m"],
        ["evaluate", "m", "--data", "data.npz", "--json"],
        ["sample", "m", "--n", "9", "-o", "grid.png"],
    )
    outputs = {}
    for command in commands:
        done = run(*command, cwd=tmp_path, threads=threads)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        outputs[command[0]] = done.stdout
    assert RunFolder(tmp_path / "runs" / "mlp").read_config().threads == threads
    evaluation = json.loads(outputs["evaluate"])
    assert evaluation["samples"] == 10_000
    model = load_model(tmp_path / "m")
    assert model.metadata.quantised
    images = Sampler.of_model(model)(draw_latents(0, 0, 9, z_dim=4, prior="normal"))
    with Image.open(tmp_path / "grid.png") as grid:
        np.testing.assert_array_equal(np.asarray(grid), assemble_grid(images, padding=2))
