"""The model card: figures in groups, beside those of real images, and how D was trained."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch

from harness.tiny_models import make_tiny_model_folder
from models.model_folder.game_rules import GameRules
from models.model_folder.read import load_model
from tests.training.support import make_config, tiny_recipe, write_npz
from training.evaluation.table import format_markdown, group_figures
from training.export.card import write_card
from training.provenance import describe_machine
from training.run.progress import Progress

FIGURES = {
    "frechet": 12.5,
    "frechet_real": 1.25,
    "share_0": 0.75,
    "modes": 10.0,
    "modes_real": 10.0,
    "value": -1.5,
    "value_real": -2.5,
    "auroc_letters": 0.875,
}


def card(
    folder: Path,
    *overrides: str,
    figures: dict[str, float] = FIGURES,
    progress: Progress | None = None,
    data: str | None = None,
    model: Path | None = None,
    metadata_changes: Mapping[str, object] = MappingProxyType({}),
    **config_changes: object,
) -> str:
    loaded = load_model(model or make_tiny_model_folder(folder / "tiny"))
    metadata = loaded.metadata.model_copy(update={"evaluation": figures, **metadata_changes})
    config = make_config(tiny_recipe("mlp", *overrides), write_npz(folder / "data.npz"))
    config = config.model_copy(update=config_changes)
    return write_card("tiny", config, progress or Progress(), metadata, dtype=torch.float32, data=data)


def test_the_figures_are_grouped_beside_those_of_real_images(tmp_path: Path):
    text = card(tmp_path)
    assert format_markdown(group_figures(FIGURES, details=False)) in text
    assert "| How near to real images? | this model | real images | at best |" in text
    assert "| Fréchet distance, digit classifier's features | 12.500 | 1.250 | 0 |" in text
    assert "| V(G, D), the value of the game | −1.500 | −2.500 | – |" in text
    assert "Share of the digit" not in text
    assert (
        f"    python -m training evaluate tiny --data {tmp_path / 'data.npz'} --features wavelets --html report.html\n"
        in text
    )


def test_theory_has_a_value_for_the_papers_game_and_none_for_a_judge(tmp_path: Path):
    papers = {"rules": GameRules(loss="non-saturating"), "judge": False}
    text = card(tmp_path, metadata_changes=papers)
    assert "| V(G, D), the value of the game | −1.500 | −2.500 | −log 4 = −1.386 |" in text
    assert "The judge is the D of this folder." not in text
    text = card(tmp_path, metadata_changes=papers | {"judge": True})
    assert "| V(G, the judge), not the game's value | −1.500 | −2.500 | – |" in text
    assert "The judge is the D of this folder. It was trained on alone after the game" in text
    assert "−log 4" not in text


def test_the_game_is_told_in_a_sentence(tmp_path: Path):
    assert (
        "\n\nG and D played the game of the 2014 paper (non-saturating loss), without penalties or labels; D took 2 "
        "steps for each step of G.\n\n"
    ) in card(tmp_path, "conditional=false", "d_steps=2", "loss=non-saturating", "r1_gamma=0", "r2_gamma=0")


def test_what_is_said_of_d_depends_on_what_it_was_taught(tmp_path: Path):
    assert "its score means little" in card(tmp_path)
    taught = card(tmp_path, "judge_steps=1500")
    assert "D was trained alone for 1,500 more steps" in taught
    assert "its score means little" not in taught


def test_the_share_of_each_digit_is_announced_for_digits_only(tmp_path: Path):
    assert "computes the figures again, adds the share of each digit, and writes a page with pictures:" in card(
        tmp_path
    )
    others = {name: value for name, value in FIGURES.items() if not name.startswith("share")}
    assert "computes the figures again and writes a page" in card(tmp_path, figures=others)


def test_one_minute_is_no_minutes(tmp_path: Path):
    for seconds, words in [(29, "0 minutes"), (31, "1 minute"), (89, "1 minute"), (91, "2 minutes")]:
        assert f" images, {words} |" in card(tmp_path, progress=Progress(seconds=seconds))


def test_the_command_is_that_of_the_run(tmp_path: Path):
    alone = card(tmp_path)
    assert "    python -m training fit tiny --data " in alone
    assert "| trained with | CPU, 1 process(es) of 1 thread(s), float32, torch " in alone
    together = card(tmp_path, processes=2, recipe_name="my own/mlp.toml", data="new place")
    assert (
        "    python -m torch.distributed.run --nproc-per-node 2 -m training fit 'my own/mlp.toml' --data 'new place' "
        in together
    )
    assert "| trained with | CPU, 2 process(es) of 1 thread(s), " in together
    assert "evaluate tiny --data 'new place' --features wavelets --html" in together
    assert str(tmp_path / "data.npz") not in together


def test_the_machine_is_that_of_the_export(tmp_path: Path):
    assert f"| exported on | {describe_machine()} |\n" in card(tmp_path)


def test_the_images_that_were_trained_on_are_named(tmp_path: Path):
    assert " --train-images " not in card(tmp_path)
    assert " --train-images 30 --features wavelets --html report.html" in card(tmp_path, "train_images=30")


def test_a_model_without_classes_is_not_called_conditional(tmp_path: Path):
    text = card(tmp_path, class_names=("cat", "dog"), overrides=("conditional=false",))
    assert "| kind | without classes |" in text
    assert "2 classes" not in text
    assert "Changed for this run: `conditional=false`." in text
    conditional = make_tiny_model_folder(tmp_path / "conditional", classes=2)
    text = card(tmp_path, model=conditional, class_names=("cat", "dog"), classes=2)
    assert "| kind | class-conditional, 2 classes |" in text
    assert "; 2 classes: cat, dog |" in text
    assert "Changed for this run" not in text


def test_a_training_that_other_numbers_of_processes_continued_is_told(tmp_path: Path):
    alone = card(tmp_path, progress=Progress(processes=[1]))
    assert "| trained with | CPU, 1 process(es) of 1 thread(s)" in alone
    assert "another number of processes" not in alone
    assert card(tmp_path) == alone
    several = card(tmp_path, processes=2, progress=Progress(processes=[2, 1]))
    assert "| trained with | CPU, 2, then 1 process(es) of 1 thread(s)" in several
    assert (
        "--to tiny\n\n`resume` continued the training with another number of processes, by which sums are rounded "
        "differently, so these\ncommands make a slightly different model.\n\n| | |\n"
    ) in several
