"""The metadata inside `model.safetensors`: it says how to use the weights, and how they were made.

safetensors stores metadata as a map of strings, so each field is one entry: plain text for texts, JSON for the rest.
"""

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, computed_field, model_validator

from models.class_names import ClassName, numbers_as_names
from models.errors import FormatVersionError, ModelMetadataError
from models.images import ImageShape
from models.latents import SEED_LIMIT, Prior
from models.model_folder.calibration import Calibration
from models.model_folder.earlier_rules import EARLIER_RULES
from models.model_folder.format import REPLACE
from models.model_folder.game_rules import GameRules, Optimum
from models.model_folder.untrusted_json import MAX_ENTRIES, check_extent
from models.networks.architectures import Architecture
from models.networks.conditional import MAX_CLASSES
from models.networks.encoder import Encoder
from models.tone_curve import ToneCurve
from models.validation import describe_mistakes

FORMAT_VERSION = 5
"""The newest version. This code reads every version from 1 to this one.

Version 2 adds `calibration.varied` and `data_sha256`, version 3 `rules` and `judge`, version 4 `tone_curve`, version 5
`class_names` and `init_from`. A model without them is still written as the version before, which older code reads.
"""


class Metadata(BaseModel):
    """The metadata of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1, 2, 3, 4, 5] = 1
    architecture: Architecture = Field(description="The networks' architecture and sizes")
    z_dim: int = Field(ge=1, le=4096, description="Number of coordinates of a latent")
    prior: Prior = Field(description="Distribution of a latent's coordinates")
    image_shape: ImageShape
    classes: int = Field(default=0, ge=0, le=MAX_CLASSES, description="Number of classes; 0 for an unconditional G")
    class_names: tuple[ClassName, ...] = Field(
        default=(),
        max_length=MAX_CLASSES,
        description="The name of each class, by its number; the numbers themselves if the classes have no names",
    )
    packing: int = Field(default=1, ge=1, le=8, description="Number of images that D judged at once in training")
    quantised: bool = Field(default=False, description="G's weights and activations are whole numbers of 8 bits")
    tone_curve: tuple[int, ...] | None = Field(
        default=None,
        description="The grey level that takes the place of each of G's levels 0 … 255; null: G's levels as they are",
    )
    encoder: Encoder | None = Field(default=None, description="Sizes of the encoder that projections start from")
    dataset: str = Field(max_length=200, description="Data set that the model was trained on")
    data_sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of all images and labels; null for a data set that comes with the package",
    )
    recipe: str = Field(max_length=200, description="Name of the training recipe")
    rules: GameRules | None = Field(
        default=None, description="Losses, penalties and steps of the game; null if they are not recorded"
    )
    judge: bool | None = Field(
        default=None,
        description="Whether D is a judge: it was trained on alone after the game, so it is not the D that played the "
        "game, whose figures are in the history. Null if this is not recorded",
    )
    init_from: str | None = Field(
        default=None,
        max_length=400,
        description="The model whose weights the training began with, name@hash; null for random weights",
    )
    seed: int = Field(ge=0, lt=SEED_LIMIT, description="Seed of the training run")
    epochs: int = Field(ge=0, description="Number of passes over the data")
    images_seen: int = Field(ge=0, description="Number of real images that D saw in training")
    git_commit: str = Field(max_length=64, description="Commit of the code that trained it")
    calibration: Calibration = Field(
        description="Quantiles of D's logits on held-out real, generated and varied images"
    )
    evaluation: dict[str, FiniteFloat] = Field(default_factory=dict, description="Quality figures, by name")
    licence: str = Field(max_length=200, description="Licence of the weights")

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, fields: object) -> object:
        """Name classes without names by their numbers. Pass over `game` and `name`, which the service adds."""
        if not isinstance(fields, dict):
            return fields
        classes = fields.get("classes")
        if isinstance(classes, int) and 0 < classes <= MAX_CLASSES and not fields.get("class_names"):
            fields = fields | {"class_names": numbers_as_names(classes)}
        added = {"game", "name"} - cls.model_fields.keys()
        return {name: value for name, value in fields.items() if name not in added}

    @model_validator(mode="after")
    def _fits_together(self) -> "Metadata":
        if self.classes and self.clusters:
            raise ValueError(f"{self.clusters} clusters take the place of labels, but there are {self.classes} classes")
        if self.ballots and not 2 <= self.ballots < self.z_dim:
            what = "classes" if self.classes else "clusters"
            raise ValueError(f"{self.ballots} {what} do not fit into latents of {self.z_dim} coordinates")
        if self.ballots and self.packing > 1:
            raise ValueError("a conditional D cannot judge packs: classes need packing 1")
        if self.format_version < format_version_for(self.calibration, self.data_sha256):
            raise ValueError("calibration.varied and data_sha256 need format_version 2")
        known = (self.rules, self.judge) in ((None, None), self._earlier())
        if self.format_version < 3 and not known:
            raise ValueError("rules and judge need format_version 3")
        self._check_class_names()
        if self.tone_curve is not None:
            if self.format_version < 4:
                raise ValueError("tone_curve needs format_version 4")
            ToneCurve(self.tone_curve)
        if self.init_from is not None and self.format_version < 5:
            raise ValueError("init_from needs format_version 5")
        return self

    def _check_class_names(self) -> None:
        if len(self.class_names) != self.classes:
            raise ValueError(f"there are {self.classes} classes, but {len(self.class_names)} class_names")
        if len(set(self.class_names)) < self.classes:
            raise ValueError("class_names has a name twice")
        if self.has_named_classes and self.format_version < 5:
            raise ValueError("class_names needs format_version 5")

    @property
    def has_named_classes(self) -> bool:
        """Whether the classes have names that are not just their numbers."""
        return self.class_names != numbers_as_names(self.classes)

    @property
    def draws_digits(self) -> bool:
        """Whether the images are digits: those of a data set that comes with the package, MNIST or Stacked MNIST."""
        return self.data_sha256 is None

    @computed_field(  # type: ignore[prop-decorator]  # mypy knows no decorator on a property
        description="Which game G and D played, in one sentence; null if it is not recorded"
    )
    @property
    def game(self) -> str | None:
        """Which game G and D played, in one sentence; None if it is not recorded."""
        return None if self.rules is None else self.rules.describe(classes=self.classes, packing=self.packing)

    @property
    def clusters(self) -> int:
        """The number of clusters of the training images that took the place of labels; 0 if there are none."""
        return 0 if self.rules is None else self.rules.clusters

    @property
    def ballots(self) -> int:
        """The number of a latent's last coordinates that choose a class or, in a game without labels, a cluster."""
        return self.classes or self.clusters

    @property
    def optimum(self) -> Optimum | None:
        """The values that theory gives for the curves of the game; None if it gives none, or the game is not known."""
        return None if self.rules is None else self.rules.optimum()

    def _earlier(self) -> tuple[GameRules | None, bool | None]:
        """The rules, and whether D is a judge, of an earlier bundled model; None and None of any other."""
        rules = EARLIER_RULES.get((self.recipe, self.git_commit))
        return rules, (None if rules is None else True)

    def filled_in(self) -> "Metadata":
        """Return these metadata with the rules of an earlier bundled model, if they are those of one."""
        if self.format_version >= 3:
            return self
        rules, judge = self._earlier()
        return self.model_copy(update={"rules": rules, "judge": judge})

    def to_strings(self) -> dict[str, str]:
        """Return one string for each field, as safetensors requires: the inverse of `parse_metadata`.

        `encoder`, `quantised`, `tone_curve`, `data_sha256`, `init_from`, `class_names` and `calibration.varied` are
        left out if they have their defaults, and `rules` and `judge` before version 3, so that a model without them has
        the same bytes as before these fields existed. `game` is left out because `rules` gives it.
        """
        optional = ("encoder", "quantised", "tone_curve", "data_sha256", "init_from")
        absent = {name for name in optional if not getattr(self, name)}
        absent |= set() if self.has_named_classes else {"class_names"}
        recent = {"rules", "judge"} if self.format_version < 3 else set()
        fields = self.model_dump(mode="json", exclude=absent | recent | {"game"})
        if self.calibration.varied is None:
            del fields["calibration"]["varied"]
        return {
            name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), allow_nan=False)
            for name, value in fields.items()
        }


def format_version_for(
    calibration: Calibration,
    data_sha256: str | None,
    rules: GameRules | None = None,
    tone_curve: tuple[int, ...] | None = None,
    class_names: tuple[str, ...] = (),
    init_from: str | None = None,
) -> Literal[1, 2, 3, 4, 5]:
    """Return the oldest version that can hold a calibration, and what else there is of the other fields."""
    if class_names != numbers_as_names(len(class_names)) or init_from is not None:
        return 5
    if tone_curve is not None:
        return 4
    if rules is not None:
        return 3
    return 1 if calibration.varied is None and data_sha256 is None else 2


def parse_metadata(strings: Mapping[str, str] | None) -> Metadata:
    """Parse the metadata strings of a safetensors file. The rules of earlier bundled models are filled in.

    Raises:
        FormatVersionError: the format is newer than FORMAT_VERSION, or not a version.
        ModelMetadataError: a field is missing, unknown or wrong; the message names all such fields.
    """
    if not strings:
        raise ModelMetadataError(
            "model.safetensors holds no metadata; export the model with `python -m training export`"
        )
    _check_version(strings.get("format_version"))
    if len(strings) > MAX_ENTRIES:
        raise ModelMetadataError(
            f"metadata of model.safetensors: {len(strings):,} entries; at most {MAX_ENTRIES:,} are allowed; {REPLACE}"
        )
    try:
        return Metadata.model_validate({name: _parse(name, text) for name, text in strings.items()}).filled_in()
    except ValidationError as error:
        mistakes = describe_mistakes(error, whole="metadata", most=MAX_ENTRIES)
        raise ModelMetadataError(f"metadata of model.safetensors: {mistakes}; {REPLACE}") from error


_TEXT_FIELDS = frozenset(name for name, field in Metadata.model_fields.items() if field.annotation is str) | {
    "data_sha256",
    "init_from",
    "prior",
}


def _parse(name: str, text: str) -> object:
    if name in _TEXT_FIELDS:
        return text
    try:
        value = json.loads(text)
        check_extent(value)
        json.dumps(value, ensure_ascii=False).encode()  # fails for a lone surrogate, which no response could contain
        return value
    except (ValueError, RecursionError) as error:
        raise ModelMetadataError(f"metadata of model.safetensors: {name} is not JSON: {error}; {REPLACE}") from error


def _check_version(text: str | None) -> None:
    if text is None:
        raise ModelMetadataError(f"metadata of model.safetensors: format_version: Field required; {REPLACE}")
    reads = f"this code reads 1 to {FORMAT_VERSION}"
    if not (text.isascii() and text.isdigit()) or text.startswith("0"):
        raise FormatVersionError(f"format_version is {text[:40]!r}, which is not a version; {reads}: {REPLACE}")
    if len(text) >= 10 or int(text) > FORMAT_VERSION:
        raise FormatVersionError(f"format_version is {text[:40]!r}; {reads}: use a newer release of it")
