"""Automatic settings: the rules at known points, how a recipe takes them, and what `fit` resolves."""

import math
from pathlib import Path

import numpy as np
import pytest

from tests.training.support import make_config, tiny_images, write_npz
from training.automatic import AUTO, RULES, Facts, resolve, take_automatic
from training.errors import RecipeError
from training.recipe import FOLDER, load_recipe

CIFAR = Facts(side=32, images=50_000, classes=10, clusters=0, batch_size=64)


def values(facts: Facts) -> dict[str, float]:
    return {name: float(rule(facts)) for name, rule in RULES.items()}


def test_the_rules_for_cifar_10() -> None:
    assert values(CIFAR) == {
        "conditional": True,
        "z_dim": 74,
        "r1_gamma": 0.5,
        "r2_gamma": 0.5,
        "generator_optimiser.learning_rate": 1e-3,
        "discriminator_optimiser.learning_rate": 1e-3,
        "ema_halflife_images": 20_000,
        "epochs": 16,  # 781 steps each; 15 are 11,715 steps
    }


def test_the_rules_for_a_larger_batch_and_side() -> None:
    seen = values(Facts(side=64, images=50_000, classes=0, clusters=0, batch_size=256))
    assert (seen["conditional"], seen["z_dim"]) == (False, 64)
    assert seen["r1_gamma"] == seen["r2_gamma"] == 0.5 * 4 / 4
    assert seen["generator_optimiser.learning_rate"] == pytest.approx(5e-4)
    assert seen["ema_halflife_images"] == 80_000
    assert seen["epochs"] == math.ceil(48_000 / 195)


@pytest.mark.parametrize(
    ("classes", "clusters", "conditional", "z_dim"),
    [
        (0, 0, False, 64),
        (1, 0, False, 64),
        (2, 0, True, 66),
        (1000, 0, True, 1064),
        (1001, 0, False, 64),
        (9, 5, False, 69),
    ],
)
def test_labels_decide_the_game(classes: int, clusters: int, conditional: bool, z_dim: int) -> None:
    facts = Facts(side=32, images=50, classes=classes, clusters=clusters, batch_size=64)
    assert (RULES["conditional"](facts), RULES["z_dim"](facts)) == (conditional, z_dim)


def test_a_smaller_batch_counts_as_64_but_for_the_average() -> None:
    seen = values(Facts(side=32, images=6400, classes=10, clusters=0, batch_size=16))
    assert seen == values(CIFAR) | {"ema_halflife_images": 5000, "epochs": 30}  # of 400 steps


def test_few_images_get_many_epochs() -> None:
    assert RULES["epochs"](Facts(side=32, images=64, classes=0, clusters=0, batch_size=64)) == 12_000
    assert RULES["epochs"](Facts(side=32, images=10**9, classes=0, clusters=0, batch_size=64)) == 1


def test_only_settings_with_a_rule_are_taken() -> None:
    given: dict[str, object] = {
        "z_dim": AUTO,
        "precision": AUTO,
        "batch_size": 64,
        "r1_gamma": 2,
        "generator_optimiser": {"name": "adam", "learning_rate": AUTO},
        "discriminator_optimiser": AUTO,
    }
    settings, names = take_automatic(given)
    assert names == ("z_dim", "generator_optimiser.learning_rate")
    assert given["z_dim"] == AUTO
    assert settings == given | {"z_dim": 64, "generator_optimiser": {"name": "adam", "learning_rate": 1e-3}}
    resolved = resolve(settings, names, CIFAR)
    assert resolved["z_dim"] == 74
    assert resolved["r1_gamma"] == 2


def test_auto_elsewhere_is_a_mistake() -> None:
    with pytest.raises(RecipeError, match=r"has 1 mistake\(s\):\n  batch_size: must be a whole number, not auto"):
        load_recipe("photos", ["batch_size=auto"])
    with pytest.raises(RecipeError, match=r"automatic: there is no such key; give settings as \"auto\""):
        load_recipe("photos", ["automatic=[]"])


@pytest.mark.parametrize("name", ["photos", "photos-large"])
def test_what_the_comments_of_the_recipes_say(name: str) -> None:
    recipe = load_recipe(name)
    assert set(recipe.automatic) == set(RULES)
    facts = Facts(side=32, images=50_000, classes=0, clusters=0, batch_size=recipe.batch_size)
    text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    rate, steps = f"{RULES['generator_optimiser.learning_rate'](facts):.0e}".replace("e-0", "e-"), recipe.batch_size
    assert text.count(f"# {rate} for a batch of {recipe.batch_size}") == 2
    assert f"# {RULES['r1_gamma'](facts):g} at 32 pixels" in text
    assert f"# {RULES['ema_halflife_images'](facts):,.0f} images" in text
    assert f"# {12_000 * steps // 64:,} steps" in text


def test_fit_resolves_them_and_a_value_of_ones_own_counts(tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    np.savez(data, images=tiny_images(40), labels=np.arange(40) % 4)
    config = make_config(load_recipe("photos", ["batch_size=16", "r1_gamma=3"]), data)
    recipe = config.recipe
    assert (recipe.conditional, recipe.z_dim, config.classes) == (True, 68, 4)
    assert (recipe.r1_gamma, recipe.r2_gamma) == (3, 0.5 / 4)
    assert recipe.generator_optimiser.learning_rate == 1e-3
    assert recipe.automatic == ()
    assert "automatic" not in config.model_dump_json()
    assert type(config).model_validate_json(config.model_dump_json()) == config


def test_without_labels_the_game_is_unconditional(tmp_path: Path) -> None:
    config = make_config(load_recipe("photos", ["batch_size=16"]), write_npz(tmp_path / "data.npz"))
    assert (config.recipe.conditional, config.recipe.z_dim, config.classes) == (False, 64, 0)
    clustered = make_config(load_recipe("photos", ["batch_size=16", "clusters=3"]), write_npz(tmp_path / "data.npz"))
    assert (clustered.recipe.conditional, clustered.recipe.z_dim, clustered.ballots) == (False, 67, 3)
    with pytest.raises(RecipeError, match=r"needs labels of 2 to 1000 classes"):
        make_config(load_recipe("photos", ["batch_size=16", "conditional=true"]), write_npz(tmp_path / "data.npz"))


def test_a_resolved_value_that_does_not_fit_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    np.savez(data, images=tiny_images(40), labels=np.arange(40) % 4)
    with pytest.raises(RecipeError, match=r"the recipe with its automatic settings has 1 mistake(.|\n)*packing=1"):
        make_config(load_recipe("photos", ["batch_size=16", "packing=2"]), data)


def test_a_residual_generator_cannot_be_quantised() -> None:
    with pytest.raises(RecipeError, match=r"8-bit arithmetic .* not for residual networks: set quantise=false"):
        load_recipe("photos", ["quantise=true"])


def test_a_residual_discriminator_has_no_spectral_normalisation() -> None:
    with pytest.raises(RecipeError, match=r"begin with layers of zeros, .*: set spectral_norm=false"):
        load_recipe("photos", ["spectral_norm=true"])
