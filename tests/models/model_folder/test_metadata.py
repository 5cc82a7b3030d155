"""Metadata converted to strings and parsed again is unchanged, whatever the values are."""

import json
from typing import Any

import pytest

from harness.tiny_models import STEEP
from models.errors import ModelMetadataError
from models.images import ImageShape
from models.latents import SEED_LIMIT
from models.model_folder.calibration import Calibration
from models.model_folder.earlier_rules import EARLIER_RULES
from models.model_folder.game_rules import GameRules
from models.model_folder.metadata import Metadata, format_version_for, parse_metadata
from models.networks.architectures import Architecture
from models.networks.conv import Conv
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.mlp import MLP


def metadata(**changes: Any) -> Metadata:
    fields: dict[str, Any] = {
        "architecture": MLP(),
        "z_dim": 100,
        "prior": "normal",
        "image_shape": ImageShape(),
        "dataset": "MNIST",
        "recipe": "mlp",
        "seed": 0,
        "epochs": 3,
        "images_seen": 180_000,
        "git_commit": "0" * 40,
        "calibration": Calibration(real=(-1, 2), generated=(-3, 0)),
        "evaluation": {"frechet": 31.0},
        "licence": "MIT",
    }
    return Metadata(**fields | changes)


@pytest.mark.parametrize("architecture", [MLP(), Goodfellow2014(), Conv(), MLP(leaky_slope=0.1, generator_widths=(7,))])
@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_what_goes_in_comes_out(architecture: Architecture, prior: str) -> None:
    before = metadata(
        architecture=architecture,
        prior=prior,
        image_shape=ImageShape(channels=3, height=64, width=64),
        seed=SEED_LIMIT - 1,
        calibration=Calibration(real=(-1e308, 5e-324, 0.1 + 0.2, 1e308), generated=(1 / 3, 2 / 3)),
        evaluation={"ä ö\n": 1 / 3, "": -0.0},
    )
    strings = before.to_strings()
    assert all(type(text) is str for text in strings.values())
    assert parse_metadata(strings) == before


@pytest.mark.parametrize(
    "text", ["", "7", "null", "true", '"quoted"', "[1, 2]", '{"a": 1}', "1e5", "é 数 🙂\n\t\\", "x" * 200]
)
@pytest.mark.parametrize("field", ["dataset", "recipe", "licence"])
def test_texts_stay_texts_whatever_they_look_like(field: str, text: str) -> None:
    strings = metadata(**{field: text}).to_strings()
    assert strings[field] == text
    assert getattr(parse_metadata(strings), field) == text


def test_a_model_without_varied_digits_has_the_first_version_and_its_bytes() -> None:
    """Older code reads it. With them it has version 2, which older code refuses by name."""
    plain = metadata().to_strings()
    assert plain["format_version"] == "1"
    assert json.loads(plain["calibration"]) == {"real": [-1, 2], "generated": [-3, 0]}
    calibration = Calibration(real=(-1, 2), generated=(-3, 0), varied=(-2, 1))
    varied = metadata(calibration=calibration, format_version=format_version_for(calibration, None))
    strings = varied.to_strings()
    assert strings["format_version"] == "2"
    assert json.loads(strings["calibration"])["varied"] == [-2, 1]
    assert parse_metadata(strings) == varied
    assert parse_metadata(plain | {"format_version": "2"}).calibration.varied is None
    with pytest.raises(ValueError, match=r"calibration\.varied and data_sha256 need format_version 2"):
        metadata(calibration=calibration)


def test_the_fingerprint_of_own_data_needs_the_second_version() -> None:
    sha = "ab" * 32
    known = metadata(data_sha256=sha, format_version=2)
    assert parse_metadata(known.to_strings()) == known
    assert "data_sha256" not in metadata().to_strings()
    with pytest.raises(ValueError, match="need format_version 2"):
        metadata(data_sha256=sha)


def test_the_rules_of_the_game_need_the_third_version() -> None:
    rules = GameRules(loss="relativistic", r1_gamma=1 / 3, d_steps=2)
    known = metadata(rules=rules, judge=False, format_version=3)
    assert format_version_for(known.calibration, None, rules) == 3
    strings = known.to_strings()
    assert "game" not in strings
    assert parse_metadata(strings) == known
    assert Metadata.model_validate_json(known.model_dump_json()) == known  # an answer of the service
    assert known.game == rules.describe(classes=0, packing=1)
    unknown = metadata()
    assert unknown.game is None
    assert not {"rules", "judge", "game"} & set(unknown.to_strings())
    for change in ({"rules": rules}, {"judge": False}):
        with pytest.raises(ValueError, match="rules and judge need format_version 3"):
            metadata(format_version=2, **change)


def test_the_rules_of_earlier_bundled_models_are_filled_in_and_their_bytes_stay() -> None:
    for (recipe, commit), rules in EARLIER_RULES.items():
        strings = metadata(recipe=recipe, git_commit=commit).to_strings()
        known = parse_metadata(strings)
        assert (known.rules, known.judge) == (rules, True)
        assert known.to_strings() == strings
        assert parse_metadata(strings | {"git_commit": "1" * 40}).game is None
        assert parse_metadata(strings | {"recipe": "another"}).game is None


def test_a_commit_that_looks_like_a_number() -> None:
    assert parse_metadata(metadata(git_commit="123e45").to_strings()).git_commit == "123e45"


@pytest.mark.parametrize(
    ("field", "inside", "outside"),
    [
        ("z_dim", 1, 0),
        ("z_dim", 4096, 4097),
        ("seed", 0, -1),
        ("seed", SEED_LIMIT - 1, SEED_LIMIT),
        ("epochs", 0, -1),
        ("images_seen", 0, -1),
        ("dataset", "x" * 200, "x" * 201),
        ("recipe", "x" * 200, "x" * 201),
        ("licence", "x" * 200, "x" * 201),
        ("git_commit", "x" * 64, "x" * 65),
    ],
)
def test_limits_and_one_past(field: str, inside: object, outside: object) -> None:
    strings = metadata().to_strings()
    assert getattr(parse_metadata(strings | {field: str(inside)}), field) == inside
    with pytest.raises(ModelMetadataError, match=f"metadata of model.safetensors: {field}: "):
        parse_metadata(strings | {field: str(outside)})


def test_all_mistakes_are_told_at_once() -> None:
    strings = metadata().to_strings() | {"z_dim": "0", "prior": "cauchy", "more": "1"}
    del strings["licence"]
    with pytest.raises(ModelMetadataError) as raised:
        parse_metadata(strings)
    for mistake in (
        "z_dim: Input should be greater",
        "prior: Input should be",
        "more: Extra",
        "licence: Field required",
    ):
        assert mistake in str(raised.value)


@pytest.mark.parametrize("strings", [None, {}])
def test_no_metadata(strings: dict[str, str] | None) -> None:
    with pytest.raises(
        ModelMetadataError, match="holds no metadata; export the model with `python -m training export`"
    ):
        parse_metadata(strings)


def test_a_tone_curve_needs_the_fourth_version() -> None:
    curve = STEEP.levels
    known = metadata(tone_curve=curve, format_version=4)
    assert format_version_for(known.calibration, None, None, curve) == 4
    assert parse_metadata(known.to_strings()) == known
    assert "tone_curve" not in metadata().to_strings()
    with pytest.raises(ValueError, match="tone_curve needs format_version 4"):
        metadata(tone_curve=curve, format_version=3)
    for wrong in (curve[1:], curve[::-1], (*curve[:-1], 256)):
        with pytest.raises(ValueError, match="a tone curve is 256 grey levels, 0 to 255, that never decrease"):
            metadata(tone_curve=wrong, format_version=4)


def test_names_of_classes_need_the_fifth_version() -> None:
    names = ("cat", "dog, black", "é 数 🙂")
    known = metadata(classes=3, class_names=names, format_version=5)
    assert format_version_for(known.calibration, None, None, None, names) == 5
    assert known.has_named_classes
    assert parse_metadata(known.to_strings()) == known
    assert Metadata.model_validate_json(known.model_dump_json()) == known  # an answer of the service
    with pytest.raises(ValueError, match="class_names needs format_version 5"):
        metadata(classes=3, class_names=names, format_version=4)


def test_classes_without_names_are_named_by_their_numbers_and_their_bytes_stay() -> None:
    known = metadata(classes=12)
    assert known.class_names == tuple(map(str, range(12)))
    assert not known.has_named_classes
    assert format_version_for(known.calibration, None, class_names=known.class_names) == 1
    assert "class_names" not in known.to_strings()
    assert parse_metadata(known.to_strings()) == known
    assert metadata().class_names == ()


@pytest.mark.parametrize(
    ("classes", "names", "message"),
    [
        (3, ("a", "b"), "there are 3 classes, but 2 class_names"),
        (0, ("a", "b"), "there are 0 classes, but 2 class_names"),
        (2, ("a", "a"), "class_names has a name twice"),
        (2, ("a", ""), "at least 1 character"),
        (2, ("a", "x" * 201), "at most 200 characters"),
        (2, ("a", 7), "valid string"),
    ],
)
def test_wrong_names_of_classes(classes: int, names: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metadata(classes=classes, class_names=names, format_version=5)


def test_models_of_digits_are_those_of_the_data_that_come_with_the_package() -> None:
    assert metadata().draws_digits
    assert not metadata(data_sha256="ab" * 32, format_version=2).draws_digits


def test_the_model_of_the_start_needs_version_5():
    known = metadata(init_from="mnist-conv@0123456789ab", format_version=5)
    assert format_version_for(known.calibration, None, init_from="mnist-conv@0123456789ab") == 5
    strings = known.to_strings()
    assert strings["init_from"] == "mnist-conv@0123456789ab"
    assert parse_metadata(strings) == known
    assert "init_from" not in metadata().to_strings()
    with pytest.raises(ValueError, match="init_from needs format_version 5"):
        metadata(init_from="m@0", format_version=4)
