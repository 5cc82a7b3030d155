"""Paths through latents: from each one to the next.

Latents of a normal prior lie near the sphere of radius √z_dim, so G was trained on latents near it. A straight line
between two latents leaves this sphere (its middle is too short by a factor of √2); a great circle stays on it: White
2016 ("Sampling generative networks", arXiv 1609.04468). The arc is Shoemake's slerp (1985, "Animating rotation with
quaternion curves", SIGGRAPH), which is defined for unit vectors. Latents have different norms, so here the *direction*
follows the arc at a constant speed, and the *norm* changes linearly from one end to the other. White's own code weighs
the unscaled vectors with Shoemake's two sines; if both ends have the same norm, the result is the same.

The uniform prior's support is a box. Its latents are mapped to normal ones, x = Φ⁻¹(F(z)), interpolated along the arc,
and mapped back to the box, so this slerp never leaves the box.
"""

from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import LatentError
from models.latents import Prior, share_below, to_uniform_prior

Mode: TypeAlias = Literal["slerp", "linear"]

_SAME_DIRECTION = 1e-8
"""If the sine of the angle between two float32 vectors is below this, rounding hides the plane that they span."""


def default_mode(prior: Prior) -> Mode:
    """Return "slerp" for the normal prior, and "linear" for the uniform one, in whose box a straight line stays."""
    return "slerp" if prior == "normal" else "linear"


def path_length(ends: int, *, steps: int, loop: bool = False) -> int:
    """Return the number of points on a path through `ends` latents, with `steps` points from each end to the next.

    A path that does not loop has one point more, the last end.
    """
    return ends * steps if loop else (ends - 1) * steps + 1


def interpolate(
    ends: NDArray[np.float32], *, steps: int, mode: Mode, prior: Prior, loop: bool = False
) -> NDArray[np.float32]:
    """Return the points of a path through latents.

    Args:
        ends: the k latents that the path goes through, [k, z_dim] float32, k ≥ 2, finite.
        steps: number of points from one end to the next, counting the first end but not the next one; ≥ 1.
        mode: the kind of interpolation, "slerp" (along the arc) or "linear".
        prior: the latents' prior; it decides how a slerp is computed (see the docstring of this module).
        loop: whether to continue from the last end to the first, and stop one step before it.

    Returns:
        [path_length(k), z_dim] float32. Row j·steps is end j, bit for bit. In both modes a coordinate that is the
        largest at both ends is the largest at every point between them, so two latents of a class stay in that class.

    Raises:
        LatentError: there are fewer than two ends, or `steps` is below 1.
    """
    if ends.ndim != 2 or len(ends) < 2:
        raise LatentError(f"a path needs at least two latents, [k, z_dim] with k ≥ 2, not {list(ends.shape)}")
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
    """Return the points at fractions 0 < t < 1 of the way from start to end, [len(fractions), z_dim]."""
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
    """Return the points whose direction follows the great circle and whose norm changes linearly."""
    norm_a, norm_b = _norm(a), _norm(b)
    if len(a) < 2 or not norm_a or not norm_b:  # there is no sphere, or an end has no direction
        return _line(a, b, t)
    u, v = a / norm_a, b / norm_b
    # Kahan's formula is accurate at every angle; the arc cosine of u·v loses half the digits near 0 and π.
    angle = 2 * np.arctan2(_norm(u - v), _norm(u + v))
    # Shoemake's (sin((1−t)ω)·u + sin(tω)·v)/sin ω, in the basis of u and the part of v perpendicular to u. This avoids
    # the division, which fails when u and v have the same direction or opposite ones.
    direction = np.outer(np.cos(t * angle), u) + np.outer(np.sin(t * angle), _perpendicular(u, v))
    return direction * ((1 - t) * norm_a + t * norm_b)[:, None]


def _perpendicular(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit vector that is perpendicular to the unit vector u in the plane of u and v.

    Vectors with the same direction or opposite ones span no plane. Then the plane of u and the axis farthest from u is
    used; for opposite vectors every half circle is equally short.
    """
    rest = v - np.sum(u * v) * u
    if _norm(rest) < _SAME_DIRECTION:
        axis = np.zeros_like(u)
        axis[np.abs(u).argmin()] = 1
        rest = axis - np.sum(u * axis) * u
    return rest / _norm(rest)


def _norm(x: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.sum(x * x)))  # not by BLAS, whose sum may depend on where x lies in memory


def _to_normal(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map coordinates z of U(−√3, √3) to x of N(0, 1), so that the share of each prior below z and below x is equal."""
    tiny = 2.0**-53  # keeps a coordinate on the edge of the box finite
    below = torch.from_numpy(np.clip(share_below(z), tiny, 1 - tiny))
    normal: NDArray[np.float64] = torch.special.ndtri(below).numpy()
    return normal


def _to_uniform(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map coordinates of N(0, 1) to U(−√3, √3): the inverse of `_to_normal`."""
    uniform: NDArray[np.float64] = to_uniform_prior(torch.special.ndtr(torch.from_numpy(x))).numpy()
    return uniform
