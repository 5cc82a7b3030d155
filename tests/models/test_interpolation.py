"""Paths through latents, compared with the formulas, also in the cases where the formulas are undefined."""

import math
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.errors import LatentError
from models.interpolation import Mode, default_mode, interpolate, path_length
from models.latents import Prior, draw_latents
from models.networks.conditional import ask_for_class, labels_of

Z_DIM = 20
MODES: tuple[Mode, ...] = get_args(Mode)
PRIORS: tuple[Prior, ...] = get_args(Prior)


def ends_of(*seeds: int, prior: Prior = "normal", z_dim: int = Z_DIM) -> NDArray[np.float32]:
    return np.concatenate([draw_latents(seed, 0, 1, z_dim=z_dim, prior=prior) for seed in seeds])


def path(*rows: list[float], steps: int = 4, mode: Mode = "slerp", prior: Prior = "normal") -> NDArray[np.float32]:
    return interpolate(np.array(rows, dtype=np.float32), steps=steps, mode=mode, prior=prior)


def angle(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    u, v = a.astype(np.float64), b.astype(np.float64)
    return math.acos(max(-1.0, min(1.0, float(u @ v / math.sqrt(float(u @ u) * float(v @ v))))))


@pytest.mark.parametrize(("prior", "mode"), [("normal", "slerp"), ("uniform", "linear")])
def test_default_mode(prior: Prior, mode: Mode):
    assert default_mode(prior) == mode


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_length_and_ends_to_the_bit(mode: Mode, prior: Prior, loop: bool, steps: int):
    ends = ends_of(3, 1, 4, 5, prior=prior)
    points = interpolate(ends, steps=steps, mode=mode, prior=prior, loop=loop)
    assert points.dtype == np.float32
    assert points.shape == (4 * steps if loop else 3 * steps + 1, Z_DIM)
    assert len(points) == path_length(4, steps=steps, loop=loop)
    assert points[::steps].tobytes() == ends.tobytes()
    assert len(np.unique(points, axis=0)) == len(points)


@pytest.mark.parametrize("mode", MODES)
def test_a_loop_goes_on_from_the_last_end_to_the_first(mode: Mode):
    ends = ends_of(1, 2, 3)
    looped = interpolate(ends, steps=5, mode=mode, prior="normal", loop=True)
    opened = interpolate(np.concatenate([ends, ends[:1]]), steps=5, mode=mode, prior="normal")
    assert looped.tobytes() == opened[:-1].tobytes()


def test_ends_are_not_changed_and_need_not_be_contiguous():
    ends = ends_of(1, 2, 3)
    kept = ends.copy()
    ends.flags.writeable = False
    points = interpolate(ends, steps=3, mode="slerp", prior="normal")
    assert ends.tobytes() == kept.tobytes()
    wide = np.repeat(kept, 2, axis=1)[:, ::2]
    assert interpolate(wide, steps=3, mode="slerp", prior="normal").tobytes() == points.tobytes()


def test_linear_is_the_straight_line():
    start, end = ends_of(1, 2).astype(np.float64)
    points = interpolate(ends_of(1, 2), steps=8, mode="linear", prior="normal")
    for k, point in enumerate(points):
        np.testing.assert_allclose(point, start + k / 8 * (end - start), rtol=0, atol=1e-6)


def test_slerp_is_shoemakes_formula_with_a_norm_that_changes_evenly():
    start, end = ends_of(1, 2).astype(np.float64)
    long, longer = math.sqrt(float(start @ start)), math.sqrt(float(end @ end))
    assert abs(long - longer) > 0.01
    omega = math.acos(float(start @ end) / (long * longer))
    for k, point in enumerate(interpolate(ends_of(1, 2), steps=8, mode="slerp", prior="normal")):
        t = k / 8
        direction = (math.sin((1 - t) * omega) * start / long + math.sin(t * omega) * end / longer) / math.sin(omega)
        np.testing.assert_allclose(point, direction * ((1 - t) * long + t * longer), rtol=0, atol=1e-6)


def test_slerp_of_known_points():
    half = 0.5**0.5
    np.testing.assert_allclose(path([1, 0], [0, 1], steps=2), [[1, 0], [half, half], [0, 1]], atol=1e-7)
    np.testing.assert_allclose(path([1, 0], [0, 3], steps=2)[1], [2 * half, 2 * half], atol=1e-6)
    np.testing.assert_allclose(path([2, 0, 0], [0, 0, 2], steps=3)[1], [3**0.5, 0, 1], atol=1e-6)


def test_slerp_turns_at_a_constant_speed():
    points = interpolate(ends_of(5, 6), steps=10, mode="slerp", prior="normal")
    whole = angle(points[0], points[-1])
    turns = [angle(a, b) for a, b in pairwise(points)]
    np.testing.assert_allclose(turns, whole / 10, rtol=1e-4)


def test_slerp_stays_where_the_prior_is_and_linear_does_not():
    """Halfway between independent latents, E‖z‖²/z_dim is 1 on the arc and 1/2 on the line."""
    ends = draw_latents(0, 0, 400, z_dim=100, prior="normal")
    arc, line = (interpolate(ends, steps=2, mode=mode, prior="normal")[1::2] for mode in MODES)
    assert np.mean(arc.astype(np.float64) ** 2) == pytest.approx(1, abs=0.03)
    assert np.mean(line.astype(np.float64) ** 2) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("scale", [1.0, 2.5, 1e-3, 1e6])
def test_ends_of_one_direction(scale: float):
    points = path([1, 2, 3], [scale, 2 * scale, 3 * scale], steps=4)
    for k, point in enumerate(points):
        np.testing.assert_allclose(point, np.array([1, 2, 3]) * (1 + k / 4 * (scale - 1)), rtol=1e-6)


def test_equal_ends_stand_still():
    ends = ends_of(9, 9)
    points = interpolate(ends, steps=6, mode="slerp", prior="normal")
    np.testing.assert_allclose(points, np.repeat(ends[:1], 7, axis=0), rtol=1e-6)


@pytest.mark.parametrize("nudge", [0.0, 1e-7, 1e-4])
@pytest.mark.parametrize("sign", [1, -1])
def test_nearly_one_direction_and_nearly_opposite(nudge: float, sign: int):
    """The path is finite, with linear norm and constant speed, even if the ends hardly determine the plane."""
    start = ends_of(7)[0].astype(np.float64)
    end = sign * start
    end[3] += nudge * 4
    points = interpolate(np.array([start, end], dtype=np.float32), steps=6, mode="slerp", prior="normal")
    assert np.isfinite(points).all()
    norms = np.linalg.norm(points.astype(np.float64), axis=1)
    np.testing.assert_allclose(norms, norms[0], rtol=1e-4)
    turns = [angle(a, b) for a, b in pairwise(points)]
    np.testing.assert_allclose(turns, math.pi / 6 if sign < 0 else 0, atol=1e-3)


def test_opposite_ends_along_an_axis():
    points = path([1, 0], [-1, 0], steps=2)
    np.testing.assert_allclose(np.abs(points), [[1, 0], [0, 1], [1, 0]], atol=1e-7)


@pytest.mark.parametrize("rows", [([0, 0, 0], [3, 0, 4]), ([3, 0, 4], [0, 0, 0]), ([0, 0, 0], [0, 0, 0])])
def test_an_end_without_a_direction_is_met_on_the_straight_line(rows: tuple[list[float], list[float]]):
    np.testing.assert_array_equal(path(*rows), path(*rows, mode="linear"))


def test_one_coordinate_has_no_sphere():
    np.testing.assert_allclose(path([1], [-1], steps=4)[:, 0], [1, 0.5, 0, -0.5, -1], atol=1e-7)


def test_slerp_of_uniform_latents_is_the_normal_path_of_the_same_seeds_in_the_box():
    """Both priors come from one uniform u: √3·(2u − 1) and Φ⁻¹(u), so √3·erf(x/√2) takes one path to the other."""
    normal = interpolate(ends_of(1, 2, 3), steps=6, mode="slerp", prior="normal")
    uniform = interpolate(ends_of(1, 2, 3, prior="uniform"), steps=6, mode="slerp", prior="uniform")
    wanted = [[3**0.5 * math.erf(x / 2**0.5) for x in row] for row in normal.tolist()]
    np.testing.assert_allclose(uniform, wanted, atol=2e-6)


@pytest.mark.parametrize("mode", MODES)
def test_uniform_paths_never_leave_the_box(mode: Mode):
    edge = np.float32(3**0.5)
    corners = np.array([[edge, edge, -edge, 0], [-edge, edge, edge, edge], [edge, -edge, edge, -edge]], np.float32)
    for ends in (corners, draw_latents(0, 0, 300, z_dim=4, prior="uniform")):
        points = interpolate(ends, steps=9, mode=mode, prior="uniform", loop=True)
        assert np.abs(points).max() <= edge  # a NaN would fail this too


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("prior", PRIORS)
def test_ends_that_were_asked_for_a_class_stay_in_it(mode: Mode, prior: Prior):
    ends = ask_for_class(draw_latents(0, 0, 100, z_dim=Z_DIM, prior=prior), 6, head_starts=np.zeros(10, np.float32))
    points = interpolate(ends, steps=7, mode=mode, prior=prior, loop=True)
    assert labels_of(torch.from_numpy(points), head_starts=torch.zeros(10)).tolist() == [6] * len(points)


@pytest.mark.parametrize("shape", [(1, 4), (0, 4), (4,), (2, 2, 4)])
def test_too_few_ends(shape: tuple[int, ...]):
    with pytest.raises(LatentError, match="needs at least two latents"):
        interpolate(np.ones(shape, dtype=np.float32), steps=2, mode="slerp", prior="normal")


@pytest.mark.parametrize("steps", [0, -1])
def test_too_few_steps(steps: int):
    with pytest.raises(LatentError, match=f"^steps must be at least 1, not {steps}$"):
        interpolate(ends_of(1, 2), steps=steps, mode="linear", prior="normal")
