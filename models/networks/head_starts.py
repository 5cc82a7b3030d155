"""Computes head starts: the constants of a conditional G that make each class as frequent as in the data.

A latent of K ballots b chooses the class with the largest b + h (`models.networks.conditional`). Under the prior, with
density p and distribution function F, class k has the share

    P(k) = ∫ p(t − h_k)·∏_{j≠k} F(t − h_j) dt.

It grows with h_k and falls with each other h_j: ∂P(k)/∂h_j = −∫ p(t − h_k)·p(t − h_j)·∏_{i≠j,k} F(t − h_i) dt. A shift
of all h changes nothing. Newton's method finds the h of given shares; it compares logarithms, so that a rare class
counts as much as a frequent one.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from models.latents import UNIFORM_BOUND, Prior, share_below

Reals = NDArray[np.float64]

MAX_STEPS = 200
TOLERANCE = 1e-7
"""The search ends when no share differs by more than this part of itself."""

_NODES = 4096
"""So many values of t are summed for the integrals of the normal prior."""


def head_starts_for(shares: Reals, *, prior: Prior) -> NDArray[np.float32]:
    """Compute head starts [K] float32 so that a share `shares[k]` of the prior's latents chooses class k.

    The mean of the head starts is 0.

    Args:
        shares: [K] float64, each above 0, with the sum 1.
        prior: the latents' prior.

    Raises:
        ValueError: a share is 0 or less, or their sum is not 1; or the search does not reach them, because one is too
            small.
    """
    if not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"the classes' shares must be above 0 and sum to 1, not {shares.tolist()}")
    starts = np.zeros(len(shares))
    error = _log_error(shares, starts, prior)
    for _ in range(MAX_STEPS):
        if np.abs(error).max() < TOLERANCE:
            break
        # A shift of all head starts has no slope. The added constant makes the equations solvable; the mean is removed.
        step = np.linalg.solve(_log_slopes(starts, prior) + 1 / len(starts), error)
        nearer = _nearer(shares, starts, step - step.mean(), prior, error)
        if nearer is None:
            break  # rounding allows no better ones
        starts, error = nearer
    if np.abs(error).max() > 1e-3:
        raise ValueError(f"no head starts give the classes these shares: {shares.tolist()}")
    return starts.astype(np.float32)


def _nearer(shares: Reals, starts: Reals, step: Reals, prior: Prior, error: Reals) -> tuple[Reals, Reals] | None:
    """Go a step, or the largest part 1/2ⁿ of it that makes the error smaller; None if no part does.

    Returns:
        The new head starts, and their error.
    """
    for _ in range(30):
        new = _log_error(shares, starts + step, prior)
        if np.linalg.norm(new) < np.linalg.norm(error):
            return starts + step, new
        step = step / 2
    return None


def _log_error(shares: Reals, starts: Reals, prior: Prior) -> Reals:
    """Return log shares − log P, [K]; infinity for a class that no latent chooses."""
    weights, ratios = _integrand(starts, prior)
    with np.errstate(divide="ignore"):
        error: Reals = np.log(shares) - np.log(weights @ ratios)
    return error


def _log_slopes(starts: Reals, prior: Prior) -> Reals:
    """Return ∂ log P(k)/∂h_j, [K, K], each of whose rows has the sum 0."""
    weights, ratios = _integrand(starts, prior)
    slopes = -(ratios.T * weights) @ ratios
    np.fill_diagonal(slopes, 0)
    np.fill_diagonal(slopes, -slopes.sum(axis=1))
    result: Reals = slopes / (weights @ ratios)[:, None]
    return result


def _integrand(starts: Reals, prior: Prior) -> tuple[Reals, Reals]:
    """Return the parts of the integrals at nodes t: ∏ F(t − h_j) times the node's weight, [T]; p/F of t − h_k, [T, K].

    P(k) is the sum over t of their product.
    """
    nodes, weights = (_normal_nodes if prior == "normal" else _uniform_nodes)(starts)
    t = torch.from_numpy(nodes[:, None] - starts)
    if prior == "normal":
        log_below = torch.special.log_ndtr(t)
        log_density = -(t**2) / 2 - np.log(2 * np.pi) / 2
    else:
        log_below = share_below(t).clamp(max=1).log()
        log_density = torch.where(t < UNIFORM_BOUND, -np.log(2 * UNIFORM_BOUND), -torch.inf)
    ratios = (log_density - log_below).exp()
    return weights * log_below.sum(dim=1).exp().numpy(), ratios.numpy()


def _normal_nodes(starts: Reals) -> tuple[Reals, Reals]:
    """Return nodes over all of the ballots' range, and their weights: each [T]. The integrand is smooth."""
    reach = 9 + np.abs(starts).max()
    nodes, step = np.linspace(-reach, reach, _NODES, retstep=True)
    return nodes, np.full(_NODES, step)


def _uniform_nodes(starts: Reals) -> tuple[Reals, Reals]:
    """Return nodes where all F are above 0, and their weights: each [T].

    The integrand is a polynomial between the ends of the ballots' ranges, so each such piece is integrated by itself.
    """
    ends = np.unique(np.concatenate([starts + UNIFORM_BOUND, [starts.max() - UNIFORM_BOUND]]))
    ends = ends[ends >= starts.max() - UNIFORM_BOUND]
    parts = [_quadrature(ends[:2], 256), _quadrature(ends[1:], 16)]  # the first piece is long, and F^(K − 1) is steep
    nodes, weights = map(np.concatenate, zip(*parts, strict=True))
    return nodes, weights


def _quadrature(ends: Reals, count: int) -> tuple[Reals, Reals]:
    """Return `count` nodes in each piece between two ends, and their weights: each [pieces · count]."""
    places, weights = _gauss_legendre(count)
    halves = np.diff(ends)[:, None] / 2
    return (ends[:-1, None] + halves * (places + 1)).ravel(), (halves * weights).ravel()


@cache
def _gauss_legendre(count: int) -> tuple[Reals, Reals]:
    """Return the places in (−1, 1) and the weights of Gauss–Legendre quadrature: each [count]."""
    places, weights = np.polynomial.legendre.leggauss(count)
    return places, weights
