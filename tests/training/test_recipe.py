"""Recipes: the bundled files, and everything that can be wrong with a person's own."""

import math
import re
import tomllib
from pathlib import Path

import pytest

from training.errors import RecipeError
from training.recipe import FOLDER, SGD, Adam, load_recipe, recipe_names

NAMES = [
    "conv",
    "conv-unlabelled",
    "goodfellow2014",
    "goodfellow2014-labels",
    "mlp",
    "photos",
    "photos-large",
    "stacked-mnist",
    "writeup",
]

OFF = {"input_keep_probability": 1.0, "hidden_keep_probability": 1.0, "group_deviation": False}
"""Settings of parts that a network does not have; a recipe may leave them out."""

PLAIN = {"description", "name", "prior", "loss", "conditional", "spectral_norm"}
COUNTS = {"d_steps", "judge_steps", "z_dim", "epochs", "batch_size", "grid_every_epochs", "metrics_every_epochs"}


def test_the_bundled_recipes():
    assert recipe_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_recipe_loads_and_hides_nothing(name: str):
    """A setting that differs from its default is in the file; a setting that is not in the file has its default."""
    recipe = load_recipe(name)
    settings = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))

    def leaves(table: dict[str, object], prefix: str = "") -> set[str]:
        found: set[str] = set()
        for key, value in table.items():
            found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
        return found

    written = leaves(settings)
    changed = leaves(recipe.model_dump(exclude_defaults=True))
    assert changed <= written
    # Everything that decides how the networks and optimisers behave is written down, even if it is a default.
    for section in ("architecture", "generator_optimiser", "discriminator_optimiser"):
        values = recipe.model_dump(exclude_none=True)[section]
        there = {key: value for key, value in values.items() if OFF.get(key) != value}
        missing = leaves(there, f"{section}.") - written
        assert not missing, missing


@pytest.mark.parametrize("name", NAMES)
def test_each_section_and_each_number_says_where_it_comes_from(name: str):
    lines = (FOLDER / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    section_has_source = False
    for line in lines:
        if line.startswith("["):
            section_has_source = "#" in line
        elif "=" in line and not line.startswith("#"):
            key = line.split("=")[0].strip()
            if key not in PLAIN | COUNTS | {"precision", "learning_rate_final", "beta2", "leaky_slope"}:
                assert "#" in line or section_has_source, f"{name}.toml: {line!r} has no unit and no source"


def test_the_write_ups_settings():
    recipe = load_recipe("writeup")
    assert recipe.architecture.model_dump() == {
        "name": "mlp",
        "generator_widths": (256, 512, 1024),
        "discriminator_widths": (512, 256),
        "leaky_slope": 0.2,
        **OFF,
    }
    assert (recipe.z_dim, recipe.prior, recipe.batch_size, recipe.d_steps, recipe.epochs) == (
        100,
        "normal",
        128,
        3,
        200,
    )
    assert recipe.generator_optimiser == Adam(name="adam", learning_rate=1e-4)
    assert recipe.discriminator_optimiser == Adam(name="adam", learning_rate=2e-4)
    assert (recipe.loss, recipe.ema_halflife_images, recipe.precision) == ("non-saturating", 0, "float32")


def test_the_papers_settings():
    recipe = load_recipe("goodfellow2014")
    assert recipe.architecture.model_dump() == {
        "name": "goodfellow2014",
        "generator_widths": (1200, 1200),
        "maxout_units": (240, 240),
        "maxout_pieces": 5,
        "input_keep_probability": 0.8,
        "hidden_keep_probability": 0.5,
    }
    assert (recipe.z_dim, recipe.prior, recipe.batch_size, recipe.d_steps) == (100, "uniform", 100, 1)
    assert recipe.train_images == 50_000
    assert recipe.generator_optimiser == recipe.discriminator_optimiser
    assert isinstance(recipe.generator_optimiser, SGD)


# --- Schedules -------------------------------------------------------------------------------------


def test_the_papers_schedules():
    sgd = load_recipe("goodfellow2014").generator_optimiser
    assert isinstance(sgd, SGD)
    assert sgd.learning_rate_at(0, steps=1) == 0.1
    assert sgd.learning_rate_at(1, steps=1) == pytest.approx(0.1 / 1.000004, rel=1e-12)
    assert sgd.learning_rate_at(250_000, steps=1) == pytest.approx(0.1 * math.exp(-1), rel=1e-5)
    last = math.log(0.1 / 1e-6) / math.log(1.000004)
    assert sgd.learning_rate_at(int(last) - 1000, steps=1) > 1e-6
    assert sgd.learning_rate_at(int(last) + 1000, steps=1) == 1e-6
    assert sgd.learning_rate_at(10**9, steps=1) == 1e-6  # where 1.000004^t is beyond float64
    assert sgd.momentum_at(1) == 0.5
    assert sgd.momentum_at(2) == pytest.approx(0.5 + 0.2 / 249)
    assert sgd.momentum_at(125) == pytest.approx(0.5 + 0.2 * 124 / 249)
    assert sgd.momentum_at(250) == pytest.approx(0.7)
    assert sgd.momentum_at(1000) == pytest.approx(0.7)


def test_adams_learning_rate_falls_in_a_straight_line():
    adam = Adam(name="adam", learning_rate=2e-4, learning_rate_final=0.0)
    assert adam.learning_rate_at(0, steps=100) == 2e-4
    assert adam.learning_rate_at(50, steps=100) == pytest.approx(1e-4)
    assert adam.learning_rate_at(99, steps=100) == pytest.approx(2e-6)
    assert adam.learning_rate_at(200, steps=100) == 0.0
    constant = Adam(name="adam", learning_rate=2e-4)
    assert constant.learning_rate_at(99, steps=100) == 2e-4


def test_constant_sgd():
    sgd = SGD(name="sgd", learning_rate=0.1)
    assert sgd.learning_rate_at(10**6, steps=1) == 0.1
    assert sgd.momentum_at(9) == 0.0


# --- Overrides ---------------------------------------------------------------------------------------


def test_set_of_nested_values_none_and_strings():
    recipe = load_recipe(
        "goodfellow2014",
        [
            "epochs=3",
            " z_dim = 7 ",
            "train_images=None",
            "image_side=none",
            "prior=normal",
            'loss="minimax"',
            "generator_optimiser.learning_rate=1e-3",
            "architecture.generator_widths=[5, 6]",
            "description=An = sign and spaces",
            'discriminator_optimiser={name = "adam", learning_rate = 0.5}',
        ],
    )
    assert (recipe.epochs, recipe.z_dim, recipe.train_images, recipe.image_side) == (3, 7, None, None)
    assert (recipe.prior, recipe.loss) == ("normal", "minimax")
    assert recipe.generator_optimiser.learning_rate == 1e-3
    assert recipe.architecture.model_dump()["generator_widths"] == (5, 6)
    assert recipe.description == "An = sign and spaces"
    assert recipe.discriminator_optimiser == Adam(name="adam", learning_rate=0.5)


def test_the_last_of_two_overrides_holds():
    assert load_recipe("mlp", ["epochs=3", "epochs=4"]).epochs == 4


def test_a_section_that_is_not_in_the_file_can_be_set():
    recipe = load_recipe("mlp", ['architecture={name="conv"}', "architecture.leaky_slope=0.1", "quantise=false"])
    assert recipe.architecture.model_dump()["name"] == "conv"
    assert recipe.architecture.model_dump()["leaky_slope"] == 0.1


@pytest.mark.parametrize("override", ["epochs", "=3", "  = 3", ""])
def test_overrides_that_are_none(override: str):
    with pytest.raises(RecipeError, match=r"--set takes key=value, not .*; for example, --set epochs=3"):
        load_recipe("mlp", [override])


def test_a_value_is_not_a_section():
    with pytest.raises(RecipeError, match=r"--set epochs\.x=1: 'epochs' is a value, not a section"):
        load_recipe("mlp", ["epochs.x=1"])


# --- Mistakes ------------------------------------------------------------------------------------------


def test_an_unknown_recipe_names_those_there_are():
    names = ", ".join(NAMES)
    with pytest.raises(RecipeError, match=rf"no recipe 'nope'; use {names}, or the path of a \.toml file"):
        load_recipe("nope")
    with pytest.raises(RecipeError, match=r"no recipe 'nope\.toml'"):
        load_recipe("nope.toml")


def test_several_mistakes_are_told_at_once():
    overrides = ["epoch=3", "batch_size=1", "generator_optimiser.beta3=0.1", "architecture.widths=[1]", "prior=cauchy"]
    with pytest.raises(RecipeError) as error:
        load_recipe("mlp", overrides)
    lines = str(error.value).splitlines()
    assert lines[0] == "recipe 'mlp' has 5 mistake(s):"
    assert sorted(line.split(":")[0].strip() for line in lines[1:]) == [
        "architecture.widths",
        "batch_size",
        "epoch",
        "generator_optimiser.beta3",
        "prior",
    ]
    assert "  epoch: there is no such key" in lines
    assert "  batch_size: Input should be greater than or equal to 2, not 1" in lines


def test_a_mistake_of_several_keys_together_has_no_place():
    with pytest.raises(RecipeError) as error:
        load_recipe("mlp", ["batch_size=9", "packing=2", "conditional=false"])
    assert str(error.value).splitlines()[1].startswith("  batch_size is 9; it must be a multiple of 2, ")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs=true", "epochs: must be a whole number, not true"),
        ("epochs=", "epochs: must be a whole number, not ''"),
        ("epochs=two", "epochs: must be a whole number, not two"),
        ("epochs=1.5", "epochs: must be a whole number, not 1.5"),
        ("generator_optimiser.learning_rate=true", "generator_optimiser.learning_rate: must be a number, not true"),
        (
            "architecture.generator_widths=[8, true]",
            "architecture.generator_widths.1: must be a whole number, not true",
        ),
        ("architecture.leaky_slope=false", "architecture.leaky_slope: must be a number, not false"),
        ("image_side=true", "image_side: must be a whole number, not true"),
        ("conditional=2", "conditional: must be true or false, not 2"),
    ],
)
def test_a_boolean_is_no_number_and_the_value_is_told(override: str, message: str):
    with pytest.raises(RecipeError, match=rf"has 1 mistake\(s\):\n  {re.escape(message)}$"):
        load_recipe("mlp", [override])


def test_switches_are_true_or_false():
    recipe = load_recipe("mlp", ["conditional=false", "quantise=false", "architecture.group_deviation=true"])
    assert (recipe.conditional, recipe.quantise, recipe.architecture.model_dump()["group_deviation"]) == (
        False,
        False,
        True,
    )


@pytest.mark.parametrize("override", ["epochs=3\nseed=4", "epochs=3\rz_dim=2", "\nepochs=3", "epochs=3\x85z_dim=2"])
def test_an_override_of_several_lines(override: str):
    with pytest.raises(RecipeError, match=r"--set '.*' has several lines; give each setting as a key=value of its own"):
        load_recipe("mlp", [override])


@pytest.mark.parametrize("key", ["mlp", "adam", "architecture.mlp", "generator_optimiser.sgd"])
def test_a_key_named_like_a_kind_is_told_by_its_name(key: str):
    with pytest.raises(RecipeError, match=rf"\n  {key}: there is no such key"):
        load_recipe("mlp", [f"{key}=1"])


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("epochs=0", "epochs"),
        ("epochs=1.5", "epochs"),
        ("batch_size=two", "batch_size"),
        ("d_steps=0", "d_steps"),
        ("d_steps=101", "d_steps"),
        ("z_dim=0", "z_dim"),
        ("z_dim=4097", "z_dim"),
        ("image_side=15", "image_side"),
        ("image_side=129", "image_side"),
        ("train_images=19", "train_images"),
        ("precision=float16", "precision"),
        ("architecture.name=resnet", "architecture"),
        ("architecture=mlp", "architecture"),
        ("architecture.generator_widths=[]", "architecture.generator_widths"),
        ("architecture.leaky_slope=1", "architecture.leaky_slope"),
        ("generator_optimiser.learning_rate=0", "generator_optimiser.learning_rate"),
        ("generator_optimiser.learning_rate=nan", "generator_optimiser.learning_rate"),
        ("generator_optimiser.learning_rate=inf", "generator_optimiser.learning_rate"),
        ("generator_optimiser.beta1=1", "generator_optimiser.beta1"),
        ("ema_halflife_images=-1", "ema_halflife_images"),
        ("ema_halflife_images=inf", "ema_halflife_images"),  # config.json would hold null, and not load again
        ("checkpoint_interval_s=inf", "checkpoint_interval_s"),
        ("loss=None", "loss"),
    ],
)
def test_one_past_each_limit(override: str, place: str):
    with pytest.raises(RecipeError, match=rf"has 1 mistake\(s\):\n  {place}: "):
        load_recipe("mlp", [override])


@pytest.mark.parametrize(
    "override",
    [
        "epochs=1",
        "batch_size=2",
        "d_steps=1",
        "d_steps=100",
        "z_dim=1",
        "z_dim=4096",
        "image_side=16",
        "image_side=128",
        "train_images=20",
        "generator_optimiser.beta1=0",
        "ema_halflife_images=0",
        "checkpoint_interval_s=0",
    ],
)
def test_each_limit_itself(override: str):
    key, value = override.split("=")
    recipe = load_recipe("mlp", [override])
    assert str(float(value)) in str(recipe.model_dump()) or f"{value}" in str(recipe.model_dump()), key


# --- A person's own file ---------------------------------------------------------------------------------


def test_a_persons_own_file(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text((FOLDER / "mlp.toml").read_text(encoding="utf-8").replace("z_dim = 100", "z_dim = 12"))
    recipe = load_recipe(str(path), ["epochs=2"])
    assert (recipe.z_dim, recipe.epochs) == (12, 2)
    path.write_text("z_dim = 12\n")
    with pytest.raises(RecipeError, match=r"mine\.toml' has 8 mistake") as error:
        load_recipe(str(path))
    assert "architecture: Field required" in str(error.value)


@pytest.mark.parametrize("data", [b"z_dim = ", b"\xff\xfe", b"[a]\n[a]\n"])
def test_files_that_are_not_toml(tmp_path: Path, data: bytes):
    path = tmp_path / "bad.toml"
    path.write_bytes(data)
    with pytest.raises(RecipeError, match=r"bad\.toml is not TOML: "):
        load_recipe(str(path))


def test_a_recipe_with_a_byte_order_mark(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (FOLDER / "mlp.toml").read_bytes())
    assert load_recipe(str(path)) == load_recipe("mlp")
