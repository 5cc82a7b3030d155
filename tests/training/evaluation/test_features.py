"""The shipped classifier on real digits, and the features of pictures that are not digits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional

from training.data.mnist import read_mnist, read_mnist_labels
from training.errors import DataError
from training.evaluation.classifier import (
    FEATURES,
    WEIGHTS_FILE,
    ImageClassifier,
    accuracy,
    distort,
    load_classifier,
    write_classifier,
)
from training.evaluation.features import BuiltIn, explain, extract, name_of
from training.evaluation.wavelets import wavelet_features

N = 1000


def written_accuracy(path: Path) -> float:
    """Return the accuracy on MNIST's test images, 0–1, that the file of weights states."""
    with safe_open(path, framework="pt") as file:
        return float(file.metadata()["test_accuracy"])


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    """The first test digits, [N, 1, 28, 28] uint8."""
    return torch.from_numpy(read_mnist()[1][:N].copy())[:, None]


@pytest.fixture(scope="module")
def labels() -> torch.Tensor:
    return torch.from_numpy(read_mnist_labels()[1][:N].astype(np.int64))


def test_real_digits_are_read_right(digits: torch.Tensor, labels: torch.Tensor):
    seen = extract(digits, digits=1)
    assert seen.values.shape == (N, FEATURES)
    assert seen.values.dtype == torch.float32
    assert (seen.values >= 0).all()
    assert not seen.values.requires_grad
    assert seen.labels is not None
    assert seen.labels.shape == (N,)
    assert seen.labels.dtype == torch.int64
    assert (seen.labels == labels).double().mean() >= 0.99


def test_a_pictures_features_do_not_depend_on_the_others(digits: torch.Tensor):
    """They do not depend on how a set is cut into blocks either."""
    whole, alone = extract(digits[:507], digits=1), extract(digits[503:504], digits=1)
    torch.testing.assert_close(whole.values[503:504], alone.values, atol=1e-4, rtol=1e-4)
    assert alone.labels is not None
    assert whole.labels is not None
    assert int(whole.labels[503]) == int(alone.labels[0])


def test_digits_of_another_size_are_read_too(digits: torch.Tensor, labels: torch.Tensor):
    for side in (16, 32, 64):
        resized = functional.interpolate(digits.float(), size=side, mode="bilinear", antialias=True)
        seen = extract(resized.round().clamp(0, 255).to(torch.uint8), digits=1)
        assert seen.values.shape == (N, FEATURES)
        assert seen.labels is not None
        assert (seen.labels == labels).double().mean() >= (0.9 if side == 16 else 0.98)


def test_a_stacked_picture_is_read_as_three_digits(digits: torch.Tensor, labels: torch.Tensor):
    red, green, blue = (digits[start : start + 300] for start in (0, 300, 600))
    seen = extract(torch.cat([red, green, blue], dim=1), digits=3)
    planes = [extract(plane, digits=1) for plane in (red, green, blue)]
    assert seen.values.shape == (300, 3 * FEATURES)
    torch.testing.assert_close(seen.values, torch.cat([p.values for p in planes], dim=1), atol=1e-4, rtol=1e-4)
    read = [p.labels.tolist() for p in planes if p.labels is not None]
    assert seen.labels is not None
    assert seen.labels.dtype == torch.int64
    assert seen.labels.tolist() == [100 * r + 10 * g + b for r, g, b in zip(*read, strict=True)]
    truth = [100 * int(labels[k]) + 10 * int(labels[300 + k]) + int(labels[600 + k]) for k in range(300)]
    assert sum(a == b for a, b in zip(seen.labels.tolist(), truth, strict=True)) >= 0.97 * 300


@pytest.mark.parametrize(("channels", "side"), [(1, 16), (3, 17), (3, 64)])
def test_pictures_without_digits_have_wavelet_features(channels: int, side: int):
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (501, channels, side, side), generator=rng, dtype=torch.uint8)  # two blocks
    seen = extract(images, digits=0)
    assert seen.labels is None
    assert torch.equal(seen.values[:500], wavelet_features(images[:500].float() / 255))
    assert torch.equal(seen.values[500:], wavelet_features(images[500:].float() / 255))


def test_each_kind_of_features_has_its_name():
    assert [name_of(BuiltIn(digits).figures, digits=digits) for digits in (0, 1, 3)] == [
        "pixels and wavelet energies",
        "digit classifier's features",
        "digit classifier's features",
    ]
    assert name_of({"frechet": 2.0, "own_classifier_accuracy": 0.87449}) == "own classifier, accuracy 0.874"
    assert name_of({"self_supervised_accuracy": 0.5}) == "self-supervised, accuracy 0.500"
    assert name_of({"dinov2_features": 1024.0}) == "DINOv2, 1024 features"


def test_a_networks_features_are_explained():
    assert explain({"frechet": 1.0}) == ""
    assert "names the class of 87.4% of the held-out images" in explain({"own_classifier_accuracy": 0.874})
    assert "does its task for 50.0% of the held-out images" in explain({"self_supervised_accuracy": 0.5})
    assert "FD-DINOv2" in explain({"dinov2_features": 384.0})


def test_the_accuracy_that_is_written_beside_the_weights_is_that_of_the_weights(
    digits: torch.Tensor, labels: torch.Tensor
):
    told = written_accuracy(WEIGHTS_FILE)
    assert 0.99 <= told <= 1
    # 1,000 of the 10,000 images: three standard errors.
    assert accuracy(load_classifier(), digits, labels) == pytest.approx(told, abs=3 * (told * (1 - told) / N) ** 0.5)


@pytest.mark.slow
def test_the_shipped_weights_reach_994_in_1000_of_mnists_test_set():
    images = torch.from_numpy(read_mnist()[1].copy())[:, None]
    seen = accuracy(load_classifier(), images, torch.from_numpy(read_mnist_labels()[1].astype(np.int64)))
    assert seen >= 0.994
    assert seen == pytest.approx(
        written_accuracy(WEIGHTS_FILE), abs=2e-4
    )  # on another machine two digits may be read differently


def test_accuracy_is_the_share_of_labels_it_says(digits: torch.Tensor, labels: torch.Tensor):
    classifier = load_classifier()
    wrong = labels.clone()
    wrong[:100] = (wrong[:100] + 1) % 10
    right = accuracy(classifier, digits, labels)
    seen = accuracy(classifier, digits, wrong)
    both = accuracy(classifier, digits.repeat(2, 1, 1, 1)[:1500], torch.cat([labels, wrong[:500]]))
    assert right - seen == pytest.approx(0.1, abs=0.005)
    assert right - both == pytest.approx(100 / 1500, abs=0.005)


def test_the_shipped_classifier_is_in_evaluation_mode_and_learns_nothing():
    classifier = load_classifier()
    assert not any(module.training for module in classifier.modules())
    assert not any(parameter.requires_grad for parameter in classifier.parameters())


def test_the_classifier_is_features_and_a_head():
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    classifier = load_classifier()
    features = classifier.features(images)
    weight, bias = (tensor.double().numpy() for tensor in (classifier.head.weight, classifier.head.bias))
    np.testing.assert_allclose(
        classifier(images).numpy(), features.double().numpy() @ weight.T + bias, rtol=1e-4, atol=1e-4
    )


def damage(path: Path, kind: str) -> None:
    data = WEIGHTS_FILE.read_bytes()
    if kind == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "cut in its header":
        path.write_bytes(data[:100])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "no safetensors":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a tensor too few":
        tensors = load_file(WEIGHTS_FILE)
        del tensors["head.bias"]
        save_file(tensors, path)
    elif kind == "a tensor of another shape":
        tensors = load_file(WEIGHTS_FILE)
        tensors["head.bias"] = torch.zeros(11)
        save_file(tensors, path)


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "truncated",
        "cut in its header",
        "empty",
        "no safetensors",
        "a folder",
        "a tensor too few",
        "a tensor of another shape",
    ],
)
def test_weights_that_cannot_be_read(kind: str, tmp_path: Path):
    path = tmp_path / "classifier.safetensors"
    damage(path, kind)
    with pytest.raises(DataError) as caught:
        load_classifier(path)
    message = str(caught.value)
    assert message.startswith(f"{path} cannot be read (")
    assert message.endswith("restore it with `git checkout`, or train it again with `python -m training classifier`")


def test_a_file_that_is_restored_is_read_again(tmp_path: Path):
    """The cache keeps a classifier, but not a failure to load one."""
    path = tmp_path / "classifier.safetensors"
    with pytest.raises(DataError):
        load_classifier(path)
    path.write_bytes(WEIGHTS_FILE.read_bytes())
    assert isinstance(load_classifier(path), ImageClassifier)


def test_what_is_written_is_what_is_read(tmp_path: Path):
    path = tmp_path / "classifier.safetensors"
    written = ImageClassifier()
    write_classifier(path, written, test_accuracy=0.875, seed=3, epochs=2)
    assert written_accuracy(path) == 0.875
    read = load_classifier(path).state_dict()
    assert set(read) == set(written.state_dict())
    assert all(torch.equal(read[name], tensor) for name, tensor in written.state_dict().items())


@pytest.mark.parametrize("shape", [(50, 1, 28, 28), (9, 3, 32, 32), (1, 1, 16, 16)])
def test_distorted_pictures_keep_their_shape_and_range(shape: tuple[int, ...]):
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).round() * 2 - 1
    seen = distort(images, rng=torch.Generator().manual_seed(1))
    assert seen.shape == shape
    assert seen.dtype == torch.float32
    assert seen.min() >= -1 - 1e-6
    assert seen.max() <= 1 + 1e-6


def test_background_comes_in_from_outside():
    black = torch.full((20, 1, 28, 28), -1.0)
    torch.testing.assert_close(distort(black, rng=torch.Generator().manual_seed(0)), black)
    white = distort(-black, rng=torch.Generator().manual_seed(0))
    assert (white[:, :, 8:20, 8:20] > 1 - 1e-5).all()  # the background does not reach this far inside
    border = torch.cat([white[:, 0, 0], white[:, 0, -1], white[:, 0, :, 0], white[:, 0, :, -1]], dim=1)
    assert (border.amin(dim=1) < 0).sum() > 10


def test_distortion_is_repeatable_and_each_picture_has_its_own():
    images = torch.from_numpy(read_mnist()[1][:1].copy())[None].repeat(20, 1, 1, 1).float() / 127.5 - 1
    copy, state = images.clone(), torch.get_rng_state()
    one, again, other = (distort(images, rng=torch.Generator().manual_seed(seed)) for seed in (4, 4, 5))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert len({picture.numpy().tobytes() for picture in one}) == 20
    assert torch.equal(images, copy)
    assert torch.equal(torch.get_rng_state(), state)


def test_distorted_digits_are_still_themselves(digits: torch.Tensor, labels: torch.Tensor):
    """If a distortion mirrored digits or turned them by 90°, few would still be readable."""
    seen = distort(digits.float() / 127.5 - 1, rng=torch.Generator().manual_seed(0))
    pictures = ((seen + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    assert accuracy(load_classifier(), pictures, labels) > 0.97
