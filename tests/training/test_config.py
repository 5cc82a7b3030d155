"""The configuration of a run and its data: a run keeps the split that it began with, or is refused."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.support import make_config, tiny_images, tiny_recipe, write_npz
from training.config import RunConfig
from training.data.dataset import load_dataset
from training.data.reading import RULE
from training.errors import RunError


def test_a_run_that_began_with_older_rules_is_refused(tmp_path: Path):
    """Its config.json has no `data_rule`; other images would be held out."""
    data = write_npz(tmp_path / "a.npz")
    config = make_config(tiny_recipe(), data)
    assert config.data_rule == RULE == 3
    config.check_data(load_dataset(str(data)))
    old = RunConfig.model_validate(config.model_dump(exclude={"data_rule", "class_names"}))
    assert old.data_rule == 1
    with pytest.raises(RunError, match=r"version 1 of the rules .* this release has version 3, .* \(commit unknown\)"):
        old.check_data(load_dataset(str(data)))


def test_a_run_on_mnist_goes_on_whenever_it_began(tmp_path: Path):
    """MNIST keeps its published order and its test set under all rules."""
    mnist = load_dataset("mnist")
    config = make_config(tiny_recipe(), write_npz(tmp_path / "a.npz"))
    old = config.model_copy(update={"data_rule": 1, "data": "mnist", "data_sha256": mnist.fingerprint()})
    old.check_data(mnist)
    assert mnist.class_names == tuple("0123456789")


def test_the_names_of_the_classes_are_kept(tmp_path: Path):
    np.savez(tmp_path / "a.npz", images=tiny_images(), labels=np.arange(40) % 3 * 100)
    config = make_config(tiny_recipe(), tmp_path / "a.npz")
    assert (config.class_names, config.classes) == (("0", "100", "200"), 0)
