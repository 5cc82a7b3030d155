"""Which game a model's folder says that G and D played, and the values that theory gives for its curves."""

import math

import pytest

from models import bundled_models_dir
from models.model_folder.game_rules import GameRules, LossName
from models.model_folder.read import load_model

PAPERS = "the game of the 2014 paper"


@pytest.mark.parametrize(
    ("rules", "classes", "game", "means", "steps"),
    [
        (
            GameRules(loss="non-saturating"),
            0,
            f"{PAPERS} (non-saturating loss)",
            "without penalties or labels",
            "one step",
        ),
        (
            GameRules(loss="minimax", d_steps=3),
            10,
            f"{PAPERS} (minimax loss)",
            "with labels of 10 classes and without penalties",
            "3 steps",
        ),
        (
            GameRules(loss="non-saturating", r1_gamma=0.2),
            0,
            "a game with the non-saturating loss",
            "with the penalty R1 and without labels",
            "one step",
        ),
        (
            GameRules(loss="relativistic", r1_gamma=1, r2_gamma=1),
            10,
            "the relativistic game",
            "with the penalties R1 and R2 and labels of 10 classes",
            "one step",
        ),
        (
            GameRules(loss="wasserstein", gradient_penalty=10, d_steps=5),
            0,
            "the Wasserstein game",
            "with the penalty WGAN-GP and without labels",
            "5 steps",
        ),
        (
            GameRules(loss="hinge", spectral_norm=True),
            3,
            "the hinge game",
            "with spectral normalisation and labels of 3 classes and without penalties",
            "one step",
        ),
    ],
)
def test_the_sentence(rules: GameRules, classes: int, game: str, means: str, steps: str) -> None:
    sentence = f"G and D played {game}, {means}; D took {steps} for each step of G"
    assert rules.describe(classes=classes, packing=1) == f"{sentence}."
    assert rules.describe(classes=classes, packing=2) == f"{sentence} and judged 2 images together."


@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
def test_theorem_1_holds_for_the_papers_game_alone(loss: LossName) -> None:
    optimum = GameRules(loss=loss, d_steps=3).optimum()
    assert optimum is not None
    assert optimum.game == "the game of the 2014 paper"
    assert (optimum.loss, optimum.output, optimum.value) == (math.log(2), 0.5, -math.log(4))
    for restraint in ({"r1_gamma": 0.1}, {"r2_gamma": 0.1}, {"gradient_penalty": 1.0}, {"spectral_norm": True}):
        assert GameRules.model_validate({"loss": loss, **restraint}).optimum() is None, restraint


def test_of_a_relativistic_game_the_loss_alone_is_known() -> None:
    for rules in (GameRules(loss="relativistic"), GameRules(loss="relativistic", r1_gamma=1, r2_gamma=1)):
        optimum = rules.optimum()
        assert optimum is not None
        assert optimum.game == "the relativistic game"
        assert (optimum.loss, optimum.output, optimum.value) == (math.log(2), None, None)


@pytest.mark.parametrize("loss", ["hinge", "least-squares", "wasserstein"])
def test_theory_has_no_line_for_other_games(loss: LossName) -> None:
    assert GameRules(loss=loss).optimum() is None


@pytest.mark.parametrize("name", sorted(folder.name for folder in bundled_models_dir().iterdir()))
def test_each_bundled_model_says_its_game_and_its_card_the_same(name: str) -> None:
    model = load_model(bundled_models_dir() / name)
    assert model.metadata.game is not None
    assert f"\n\n{model.metadata.game}\n\n" in model.card
    assert model.metadata.judge is not None
