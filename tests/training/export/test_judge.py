"""`training judge`: a new D for an exported model; G, the history and the timeline stay as they are."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from harness.tiny_models import make_tiny_model_folder
from models.images import ImageShape
from models.model_folder.loaded_model import LoadedModel
from models.model_folder.read import load_model
from tests.training.support import judge_few_samples, make_config, play, tiny_images, tiny_recipe, write_npz
from training.cli.command_line import main
from training.data.dataset import Dataset, load_dataset
from training.data.mnist import read_mnist
from training.export import judge as module
from training.export import negatives
from training.export.discriminator_finetuning import JudgePlan
from training.export.export import export
from training.export.judge import judge, read_earlier_samples, rewrite_card
from training.run.folder import RunFolder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negatives, "GLYPHS", 30)
    judge_few_samples(monkeypatch)
    defaults = judge.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "samples", 100)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data.npz, and with the model `mine` that was trained on it and exported as float16."""
    root = tmp_path_factory.mktemp("exported")
    config = make_config(tiny_recipe("mlp", "epochs=4", "grid_every_epochs=1"), write_npz(root / "data.npz"))
    folder = RunFolder(root / "run")
    folder.create(config)
    play(folder, config)
    export(folder, config, load_dataset(config.data), root / "mine", samples=20, dtype=torch.float16)
    return root


def judged(root: Path, to: Path, *options: str) -> Path:
    data = ["--data", str(root / "data.npz")]
    assert main(["judge", str(root / "mine"), *data, "--to", str(to), "--steps", "3", "--threads", "1", *options]) == 0
    return to


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_only_d_its_figures_and_the_card_change(exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    before = files_of(exported / "mine")
    new = judged(exported, tmp_path / "fairer")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "fine-tuning D, 3 steps"
    assert said[-1] == f"wrote {load_model(new).reference} to {new}"
    assert files_of(exported / "mine") == before
    after = files_of(new)
    assert set(after) == set(before)
    assert {name for name in before if before[name] != after[name]} == {"model.safetensors", "CARD.md"}
    old_weights, weights = (load_file(folder / "model.safetensors") for folder in (exported / "mine", new))
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    for name, tensor in old_weights.items():
        if name.startswith("generator."):
            assert torch.equal(weights[name], tensor)
    changed = {name for name, tensor in old_weights.items() if not torch.equal(weights[name], tensor)}
    assert changed == {name for name in old_weights if name.startswith("discriminator.")}
    old, model = load_model(exported / "mine").metadata, load_model(new).metadata
    assert model.calibration != old.calibration
    assert model.evaluation["value"] != old.evaluation["value"]
    assert model.evaluation["frechet"] != old.evaluation["frechet"]  # of 100 samples, and not of 20
    assert model.calibration.varied is None  # images that are no digits are not varied
    assert (old.judge, model.judge) == (False, True)
    assert model.game == old.game is not None
    same = {"calibration", "evaluation", "judge"}
    assert model.model_dump(exclude=same) == old.model_dump(exclude=same)


def test_the_card_says_it(exported: Path, tmp_path: Path):
    old = load_model(exported / "mine")
    card = load_model(judged(exported, tmp_path / "fairer", "--seed", "8")).card
    assert card.startswith("# fairer\n")
    assert f"G and the encoder are those of `{old.reference}`, bit for bit" in card
    data = exported / "data.npz"
    assert f"training judge mine --to fairer --data {data} --steps 3 --seed 8 --threads 1\n" in card
    assert f"    python -m training evaluate fairer --data {data} --features wavelets --html report.html\n" in card
    assert "D was trained alone for 3 more steps" in card
    assert "varied digits: real digits" not in card
    assert "its score means little" not in card
    titles = [line for line in card.splitlines() if line.startswith("## ")]
    assert titles == ["## How it was made", "## The training of D alone", "## Figures", "## Limits", "## Licence"]


def test_the_same_command_gives_the_same_bytes_and_may_be_repeated(exported: Path, tmp_path: Path):
    one, again, other = (
        files_of(judged(exported, tmp_path / place / "m", "--seed", seed))["model.safetensors"]
        for place, seed in (("a", "1"), ("b", "1"), ("c", "2"))
    )
    assert one == again
    assert one != other
    shutil.copy(exported / "data.npz", tmp_path / "data.npz")
    (tmp_path / "a" / "m").rename(tmp_path / "mine")
    card = load_model(judged(tmp_path, tmp_path / "twice")).card
    assert card.count("## The training of D alone") == 1
    assert card.count("## Figures") == 1
    assert card.count("D was trained alone for") == 1


def digits() -> Dataset:
    """Return 300 digits of MNIST to train on, and 200 that are held out."""
    train, test = (torch.from_numpy(images[:300].copy())[:, None] for images in read_mnist())
    return Dataset("none", train, test[:200], ImageShape(), digits=1)


def grids(model: LoadedModel) -> dict[int, torch.Tensor]:
    """Return images in place of the pictures of the tiny model's timeline, which are no grids."""
    return {entry.epoch: torch.zeros(4, 1, 28, 28, dtype=torch.uint8) for entry in model.timeline}


def test_digits_are_varied_and_calibrated_on_variations(tmp_path: Path):
    model = load_model(make_tiny_model_folder(tmp_path / "tiny"))
    plan = JudgePlan(steps=2, variations=0.5, prior="normal", z_dim=8)
    judge(model, digits(), tmp_path / "new", plan, earlier=grids(model), data="mnist", seed=1)
    new = load_model(tmp_path / "new")
    assert new.metadata.format_version == 3
    assert new.metadata.judge is True
    assert new.metadata.calibration.varied is not None
    assert new.metadata.calibration.percentiles(-1e9) == {"real": 0, "generated": 0, "varied": 0}
    assert 0 <= new.metadata.evaluation["varied_under_5"] <= 1
    assert "| Varied digits under the judge's 5th percentile | " in new.card
    assert "judge tiny --to new --data mnist --steps 2 --seed 1 --threads " in new.card
    assert " --variations 0.5\n" in new.card
    assert load_file(tmp_path / "new" / "model.safetensors")["generator.0.weight"].dtype == torch.float32


# --- What is refused, before the work begins -----------------------------------------------------


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command that must fail before D is trained; return the message."""

    def never(*_arguments: object, **_options: object) -> None:
        raise AssertionError("D is trained")

    monkeypatch.setattr(module, "train_judge", never)

    def check(*arguments: str | Path, code: int = 1) -> str:
        assert main(["judge", *map(str, arguments)]) == code
        return capsys.readouterr().err

    return check


def test_it_must_be_the_data_of_the_model(exported: Path, tmp_path: Path, fails: Callable[..., str]):
    other = write_npz(tmp_path / "other.npz", tiny_images(50, seed=7))
    error = fails(exported / "mine", "--data", other, "--to", tmp_path / "new")
    assert "mine was trained on 'data', not on 'other': D must learn from the images that G imitates" in error
    changed = write_npz(tmp_path / "data.npz", tiny_images(50, seed=7))
    for options in ([], ["--train-images", "20"]):
        error = fails(exported / "mine", "--data", changed, "--to", tmp_path / "new", *options)
        assert (
            "the images of 'data' are not those that mine was trained on (others have the same name, or some" in error
        )
    assert "name that data set, or its path, with --data" in fails(exported / "mine", "--to", tmp_path / "new")
    coloured = write_npz(tmp_path / "data.npz", tiny_images(50, channels=3))
    error = fails(exported / "mine", "--data", coloured, "--to", tmp_path / "new")
    assert "give data of the model's shape with --data" in error
    assert not (tmp_path / "new").exists()


def test_options_that_do_not_fit(exported: Path, tmp_path: Path, fails: Callable[..., str]):
    start = (exported / "mine", "--data", exported / "data.npz", "--to", tmp_path / "new")
    assert "--variations is for mnist only" in fails(*start, "--variations", "0.5", code=2)
    assert "--train-images must be 20 to 36" in fails(*start, "--train-images", "37", code=2)
    for option, value in (("--steps", "-1"), ("--variations", "1.5"), ("--variations", "nan"), ("--seed", "-1")):
        with pytest.raises(SystemExit):
            main(["judge", *map(str, start), option, value])


def test_the_timeline_must_hold_gs_images(exported: Path, tmp_path: Path, fails: Callable[..., str]):
    shutil.copytree(exported / "mine", tmp_path / "mine")
    start = (tmp_path / "mine", "--data", exported / "data.npz", "--to", tmp_path / "new")
    tiny = make_tiny_model_folder(tmp_path / "tiny")
    shutil.copy(tiny / "timeline" / "00001.png", tmp_path / "mine" / "timeline" / "00001.png")
    assert "00001.png is not a grid of G's images" in fails(*start)
    shutil.rmtree(tmp_path / "mine" / "timeline")
    assert "the timeline of mine is empty" in fails(*start)


def test_a_folder_that_is_no_model_is_not_replaced(exported: Path, tmp_path: Path, fails: Callable[..., str]):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "thesis.txt").write_text("work")
    error = fails(exported / "mine", "--data", exported / "data.npz", "--to", tmp_path / "new")
    assert "holds 'thesis.txt', which is not part of a model folder" in error


def test_earlier_samples_are_those_of_the_timeline(exported: Path):
    model = load_model(exported / "mine")
    samples = read_earlier_samples(model)
    assert sorted(samples) == [0, 1, 2, 3, 4]
    assert all(images.shape == (64, 1, 16, 16) and images.dtype == torch.uint8 for images in samples.values())
    assert not np.array_equal(samples[0], samples[4])


# --- The card -------------------------------------------------------------------------------------


def test_a_card_that_somebody_else_wrote_keeps_all_its_text():
    new = ["## D\n\nd", "## F"]
    card = rewrite_card("# Tiny\n\nHello.\n\n## Mine\n\nText.\n", name="n", sections=new, scope="- s")
    assert card == "# n\n\nHello.\n\n## Mine\n\nText.\n\n## D\n\nd\n\n## F\n"
    assert rewrite_card("", name="n", sections=["## D", "## F"], scope=None).endswith("## D\n\n## F\n")


@pytest.mark.parametrize(
    "old",
    [
        "- After the training of G and D, D was trained alone for 7 more steps. Its\n  fakes were images.\n",
        "- D learned to tell real images from the images of this G. For other\n  pictures, its score means little.\n",
    ],
)
def test_what_is_said_of_d_is_replaced(old: str):
    card = f"# a\n\n## Limits\n\n- The model draws.\n{old}- On one machine.\n\n## Licence\n\nMIT.\n"
    new = rewrite_card(card, name="b", sections=["## D\n\nd", "## Figures\n\nf"], scope=r"- \1 and D")
    assert new == (
        "# b\n\n## D\n\nd\n\n## Figures\n\nf\n\n## Limits\n\n- The model draws.\n- \\1 and D\n- On one machine.\n\n"
        "## Licence\n\nMIT.\n"
    )
