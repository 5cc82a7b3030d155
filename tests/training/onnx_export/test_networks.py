"""The parts of the exported networks, and the storage of whole numbers, beside independent computations."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from harness.tiny_models import STEEP
from models.images import channels_first, to_uint8
from models.networks.conditional import Ballots, ask_for_class
from training.onnx_export.conversion import _store_whole_numbers
from training.onnx_export.networks import ClassChoice, GreyLevels


@pytest.mark.parametrize("toned", [False, True])
def test_grey_levels_are_rounded_as_the_service_rounds(toned: bool) -> None:
    """Also halves, which go to the even level, and values outside the range."""
    halves = (np.arange(-2, 258) + 0.5) / 127.5 - 1
    values = np.concatenate([halves, np.arange(256) / 127.5 - 1, [-3, -1, 1, 3, 0.1]]).astype(np.float32)
    images = torch.from_numpy(values)[None, None, None]
    wanted = to_uint8(images)
    if toned:
        wanted = STEEP(wanted)
    seen = GreyLevels(STEEP.levels if toned else None)(images)
    assert torch.equal(seen, channels_first(wanted))


def test_a_class_is_chosen_as_the_service_chooses_it() -> None:
    """Bit for bit, for each class of each latent, and also if the latent chooses that class already."""
    rng = np.random.default_rng(0)
    ballots = Ballots(4)
    ballots.head_starts.copy_(torch.from_numpy(rng.normal(size=4).astype(np.float32)))
    latents = rng.normal(size=(50, 9)).astype(np.float32)
    choice = ClassChoice(ballots)
    for label in range(4):
        wanted = ask_for_class(latents, label, head_starts=ballots.head_starts.numpy())
        seen = choice(torch.from_numpy(latents), torch.full((50,), label))
        np.testing.assert_array_equal(seen.numpy(), wanted)
    unasked = choice(torch.from_numpy(latents), torch.full((50,), -1))
    np.testing.assert_array_equal(unasked.numpy(), latents)


@pytest.mark.parametrize(
    ("values", "stored_whole"),
    [
        (np.resize([-127.0, 127.0, 0.0], 1024), True),
        (np.resize([-127.0, 127.0, 0.0], 1023), False),  # too few to matter
        (np.resize([-127.0, 128.0], 1024), False),
        (np.resize([-128.0, 127.0], 1024), False),
        (np.resize([1.0, 2.5], 1024), False),
        (np.resize([1.0, np.nan], 1024), False),
    ],
)
def test_only_whole_numbers_are_stored_in_bytes(values: np.ndarray, stored_whole: bool) -> None:
    values = values.astype(np.float32)
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [len(values)]) for name in ("x", "y")]
    node = helper.make_node("Mul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [numpy_helper.from_array(values, "w")])
    _store_whole_numbers(graph)
    (tensor,) = graph.initializer
    assert [node.op_type for node in graph.node] == (["Cast", "Mul"] if stored_whole else ["Mul"])
    assert tensor.name == ("w.int8" if stored_whole else "w")
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), values)
