"""A network that was trained on a data set for its features, and the file that holds it.

The file is safetensors: the weights of an `ImageClassifier`, and `LearnedFacts` as its metadata.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from models.files import write_atomically
from models.images import MAX_SIDE, MIN_SIDE, to_float
from models.model_folder.write import sort_metadata
from models.validation import describe_mistakes
from training.errors import DataError
from training.evaluation.classifier import ImageClassifier
from training.evaluation.features import CLASSIFIER_ACCURACY, SELF_SUPERVISED_ACCURACY, Features, cut

RULE = 1
"""The version of the rule by which networks are trained. Figures of different rules cannot be compared."""

MAX_FILE_BYTES = 16 * 2**20
MAX_OUTPUTS = 100_000
"""The most outputs that a network in a file may have."""


class LearnedFacts(BaseModel):
    """What a network was trained on, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["classifier", "self-supervised"]
    rule: int = Field(ge=1, description="Version of the rule by which it was trained")
    data_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the images and labels of the training")
    channels: int = Field(ge=1, le=3)
    side: int = Field(ge=MIN_SIDE, le=MAX_SIDE)
    outputs: int = Field(ge=2, le=MAX_OUTPUTS, description="Number of the network's logits")
    accuracy: float = Field(ge=0, le=1, description="Accuracy of the network's task on held-out images")
    threads: int = Field(ge=1, description="Threads that computed the training; the weights depend on it")


@dataclass(frozen=True)
class LearnedFeatures:
    """The features of a network that was trained on a data set.

    Attributes:
        network: the network, in evaluation mode.
        facts: what it was trained on, and how.
    """

    network: ImageClassifier
    facts: LearnedFacts

    @property
    def figures(self) -> Mapping[str, float]:
        """The accuracy of the network, by the name of its kind."""
        name = CLASSIFIER_ACCURACY if self.facts.kind == "classifier" else SELF_SUPERVISED_ACCURACY
        return {name: self.facts.accuracy}

    @torch.no_grad()
    def extract(self, images: torch.Tensor) -> Features:
        """Extract the features of pictures [N, C, S, S] uint8: [N, 128], not negative."""
        return Features(torch.cat([self.network.features(to_float(block)) for block in cut(images)]), None)

    def to_bytes(self) -> bytes:
        """Return the contents of the file. Equal weights and facts give equal bytes."""
        facts = {name: str(value) for name, value in self.facts.model_dump().items()}
        return sort_metadata(
            save({name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}, facts)
        )

    def write(self, path: Path) -> None:
        """Write the file, completely or not at all.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        write_atomically(path, self.to_bytes())


def read_learned_features(path: Path) -> LearnedFeatures:
    """Read the file of a network.

    Raises:
        DataError: the file is damaged or cannot be read.
    """
    advice = "remove the file, and the features are made again"
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{path} has more than {MAX_FILE_BYTES:,} bytes, so it holds no features: {advice}")
        with safe_open(path, framework="pt") as file:
            facts = LearnedFacts.model_validate(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
        network = ImageClassifier(channels=facts.channels, side=facts.side, classes=facts.outputs)
        network.load_state_dict(tensors)
    except ValidationError as error:
        raise DataError(f"{path} is damaged: {describe_mistakes(error, whole='its metadata')}; {advice}") from error
    except (OSError, SafetensorError, RuntimeError) as error:
        raise DataError(f"{path} cannot be read ({error}): {advice}") from error
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise DataError(f"{path} holds weights that are not finite: {advice}")
    return LearnedFeatures(network.eval().requires_grad_(requires_grad=False), facts)
