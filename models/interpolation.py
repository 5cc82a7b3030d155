"""Paths through latents: from one to the next, and so on.

A latent of a normal prior lies near the sphere of radius √z_dim, and so did all that G was trained on. The straight
line between two of them leaves it (half-way it is √2 too short), the great circle does not: White 2016 ("Sampling
generative networks", arXiv 1609.04468). The arc is Shoemake's slerp (1985, "Animating rotation with quaternion
curves", SIGGRAPH). It was made for unit vectors, and latents are not quite: here the *direction* takes the arc at a
constant speed, and the *norm* goes evenly from one end's to the other's. White's own code weighs the unscaled vectors
with Shoemake's two sines; where both ends are of one norm, that is the same.

The uniform prior's support is a box. Its latents are taken back to the normal ones that the same counter gives,
x = Φ⁻¹(F(z)), led along the arc, and mapped to the box again: a slerp that never leaves it.
"""

from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import LatentError
from models.latents import Prior, share_below, to_uniform_prior

Mode: TypeAlias = Literal["slerp", "linear"]

_SAME_DIRECTION = 1e-8
"""Below this sine of an angle, float32 ends do not say in which plane the angle lies."""


def default_mode(prior: Prior) -> Mode:
    """slerp for the normal prior; for the uniform one the straight line, which keeps within its box as well."""
    return "slerp" if prior == "normal" else "linear"


def path_length(ends: int, *, steps: int, loop: bool = False) -> int:
    """Points of a path through `ends` latents: `steps` from each to the next, and the last end unless it loops."""
    return ends * steps if loop else (ends - 1) * steps + 1


def interpolate(
    ends: NDArray[np.float32], *, steps: int, mode: Mode, prior: Prior, loop: bool = False
) -> NDArray[np.float32]:
    """The path through latents.

    Args:
        ends: [k, z_dim] float32, k ≥ 2, finite.
        steps: points from one end to the next, counting the first and not the next; ≥ 1.
        mode: "slerp" or "linear".
        prior: that of the latents; it decides what a slerp is (see above).
        loop: go on from the last end to the first, and stop one step before it.

    Returns:
        [path_length(k), z_dim] float32. Row j·steps is end j, bit for bit. In both modes a coordinate that is the
        largest in both ends is so all the way between them: two latents of a class stay in it.

    Raises:
        LatentError: fewer than two ends, or a step count below 1.
    """
    if ends.ndim != 2 or len(ends) < 2:
        raise LatentError(f"a path goes through two latents or more, [k, z_dim], not {list(ends.shape)}")
    if steps < 1:
        raise LatentError(f"steps must be at least 1, not {steps}")
    fractions = np.arange(1, steps) / steps
    path: list[NDArray[np.float32]] = []
    for start, end in zip(ends, np.roll(ends, -1, axis=0), strict=True):
        path += [start[None], _between(start, end, fractions, mode, prior)]
    return np.concatenate(path)[: path_length(len(ends), steps=steps, loop=loop)]


def _between(
    start: NDArray[np.float32], end: NDArray[np.float32], fractions: NDArray[np.float64], mode: Mode, prior: Prior
) -> NDArray[np.float32]:
    """The points at these fractions, 0 < t < 1, of the way from start to end: [len(fractions), z_dim]."""
    a, b = start.astype(np.float64), end.astype(np.float64)
    if mode == "linear":
        points = _line(a, b, fractions)
    elif prior == "normal":
        points = _arc(a, b, fractions)
    else:
        points = _to_uniform(_arc(_to_normal(a), _to_normal(b), fractions))
    return points.astype(np.float32)


def _line(a: NDArray[np.float64], b: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.outer(1 - t, a) + np.outer(t, b)


def _arc(a: NDArray[np.float64], b: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Direction along the great circle, norm along a line."""
    norm_a, norm_b = _norm(a), _norm(b)
    if len(a) < 2 or not norm_a or not norm_b:  # no sphere, or an end that has no direction
        return _line(a, b, t)
    u, v = a / norm_a, b / norm_b
    # Exact to rounding at every angle (Kahan), where the arc cosine of u·v loses half the digits near 0 and π.
    angle = 2 * np.arctan2(_norm(u - v), _norm(u + v))
    # Shoemake's (sin((1−t)ω)·u + sin(tω)·v)/sin ω, in the basis of u and what of v is perpendicular to it: the same,
    # without the division that fails for ends of one direction and for opposite ones.
    direction = np.outer(np.cos(t * angle), u) + np.outer(np.sin(t * angle), _perpendicular(u, v))
    return direction * ((1 - t) * norm_a + t * norm_b)[:, None]


def _perpendicular(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """The unit vector perpendicular to the unit vector u, in the plane of u and v.

    Vectors of one direction span no plane, and neither do opposite ones, whose half-circles are all equally short. Then
    the plane of u and of the axis farthest from u is taken.
    """
    rest = v - np.sum(u * v) * u
    if _norm(rest) < _SAME_DIRECTION:
        axis = np.zeros_like(u)
        axis[np.abs(u).argmin()] = 1
        rest = axis - np.sum(u * axis) * u
    return rest / _norm(rest)


def _norm(x: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.sum(x * x)))  # not BLAS: its sum may depend on where x lies in memory


def _to_normal(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates of U(−√3, √3) → of N(0, 1), each where as much of its prior lies below it."""
    tiny = 2.0**-53  # a coordinate on the box's very edge stays finite
    below = torch.from_numpy(np.clip(share_below(z), tiny, 1 - tiny))
    normal: NDArray[np.float64] = torch.special.ndtri(below).numpy()
    return normal


def _to_uniform(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `_to_normal`."""
    uniform: NDArray[np.float64] = to_uniform_prior(torch.special.ndtr(torch.from_numpy(x))).numpy()
    return uniform
