"""The file of a network: what is kept, what is used again, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.images import MAX_SIDE
from tests.training.evaluation.learned.support import labelled_dataset
from training.config import FeatureKind
from training.errors import DataError
from training.evaluation.evaluate import _HeldOut, _likeness
from training.evaluation.features import BuiltIn
from training.evaluation.learned import network as module
from training.evaluation.learned import obtain
from training.evaluation.learned.network import RULE, LearnedFeatures, read_learned_features
from training.evaluation.learned.obtain import obtain_features


def made(path: Path | None = None, *, steps: int = 2) -> LearnedFeatures:
    found = obtain_features("classifier", labelled_dataset(), file=path, keep=True, steps=steps)
    assert isinstance(found, LearnedFeatures)
    return found


def test_a_kept_network_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = made(tmp_path / "f.safetensors")
    monkeypatch.setattr(obtain, "train_own_classifier", None)  # nothing is trained
    again = made(tmp_path / "f.safetensors")
    assert again.facts == first.facts
    assert (again.facts.kind, again.facts.rule, again.facts.outputs) == ("classifier", RULE, 3)
    images = labelled_dataset().images
    assert torch.equal(again.extract(images).values, first.extract(images).values)
    assert again.extract(images).labels is None
    assert not again.network.training


def test_without_a_file_nothing_is_kept(tmp_path: Path):
    lines: list[str] = []
    obtain_features("classifier", labelled_dataset(), file=tmp_path / "f", say=lines.append, steps=1)
    assert list(tmp_path.iterdir()) == []
    assert lines[-1].startswith("features: own classifier, accuracy ")
    assert lines[-1].endswith("on held-out images; 0.333 would be right by always naming the most frequent class")
    obtain_features("self-supervised", labelled_dataset(), say=lines.append, steps=1)
    assert lines[-1].startswith("features: self-supervised, accuracy ")
    assert lines[-1].endswith(" on held-out images")


@pytest.mark.parametrize("changed", ["data", "kind", "rule"])
def test_features_of_something_else_are_made_again(changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, data, lines = tmp_path / "f.safetensors", labelled_dataset(), list[str]()
    made(path)
    before = path.read_bytes()
    if changed == "data":
        data = replace(data, images=255 - data.images)
    if changed == "rule":
        monkeypatch.setattr(obtain, "RULE", 2)
    kind: FeatureKind = "self-supervised" if changed == "kind" else "classifier"
    obtain_features(kind, data, file=path, keep=True, say=lines.append, steps=1)
    assert lines[0].startswith(f"warning: {path} holds features of another kind, of other data or of another release")
    assert path.read_bytes() != before


def test_digits_and_wavelets_need_no_network():
    digits = replace(labelled_dataset(), digits=1)
    assert obtain_features("classifier", digits) == BuiltIn(1)
    assert obtain_features("built-in", labelled_dataset()) == BuiltIn(0)


def test_figures_are_in_the_features_of_the_network():
    data, learned = labelled_dataset(), made(steps=20)
    values = learned.extract(data.held_out).values.double()
    other = learned.extract(data.images).values.double()
    found = _likeness(_HeldOut.of(data, learned), learned.extract(data.images))
    c, d = torch.cov(values.T), torch.cov(other.T)
    roots = torch.linalg.eigvals(c @ d).real.clamp(min=0).sqrt().sum()
    wanted = ((values.mean(0) - other.mean(0)) ** 2).sum() + c.trace() + d.trace() - 2 * roots
    assert found["frechet"] == pytest.approx(float(wanted), rel=1e-3, abs=1e-3)
    assert learned.figures == {"own_classifier_accuracy": learned.facts.accuracy}


def test_a_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "f.safetensors"
    good = made(path)
    facts = {name: str(value) for name, value in good.facts.model_dump().items()}
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}  # the file is written anew

    def refused(message: str) -> None:
        with pytest.raises(DataError, match=f"(?s){message}.*remove the file"):
            read_learned_features(path)

    path.write_bytes(path.read_bytes()[:1000])
    refused("cannot be read")
    save_file(tensors, path)
    refused("is damaged: kind: Field required")
    save_file(tensors, path, facts | {"side": str(MAX_SIDE + 1)})
    refused(f"is damaged: side: Input should be less than or equal to {MAX_SIDE}")
    save_file(tensors, path, facts | {"side": "28"})
    refused("cannot be read")
    save_file({name: tensor for name, tensor in tensors.items() if name != "head.bias"}, path, facts)
    refused("cannot be read")
    save_file(tensors | {"head.bias": torch.full((3,), float("nan"))}, path, facts)
    refused("holds weights that are not finite")
    save_file(tensors, path, facts)
    assert read_learned_features(path).facts == good.facts
    monkeypatch.setattr(module, "MAX_FILE_BYTES", path.stat().st_size)
    assert read_learned_features(path).facts == good.facts
    monkeypatch.setattr(module, "MAX_FILE_BYTES", path.stat().st_size - 1)
    refused("has more than")
