"""Latents z from a counter, so that a seed and an index always give the same latent.

`z(seed, index)` comes from the Philox counter-based generator (Salmon et al., "Parallel random numbers: as easy
as 1, 2, 3", SC 2011) with the seed as its key. Each image owns a fixed range of the counter, so any image can be drawn
without drawing those before it. Both priors have mean 0 and variance 1.
"""

import threading
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import LatentError

Prior: TypeAlias = Literal["normal", "uniform"]

SEED_LIMIT = 2**53
"""Seeds are 0 ≤ seed < 2⁵³: every JSON reader represents such numbers exactly."""

INDEX_LIMIT = 2**53
"""Images of one seed are numbered 0 ≤ index < 2⁵³."""

UNIFORM_BOUND = 3**0.5
"""The uniform prior is U(−√3, √3): its variance is 1."""

MAX_LATENT = 1e6
"""Largest absolute value of a posted latent's coordinate: float32 products of larger ones may overflow."""

Numbers = TypeVar("Numbers", NDArray[np.float64], torch.Tensor)

_WORDS_PER_COUNTER = 4  # one Philox-4×64 counter value gives four 64-bit words
_DROPPED_BITS = np.uint64(12)  # bits of a word that are dropped: a float64's fraction holds the other 52
_ONE = np.float64(1).view(np.uint64)  # the bits of 1.0


class _Stream(threading.local):
    """A random bit generator for each thread. Setting its state takes a tenth of the time of making a new one."""

    def __init__(self) -> None:
        self.philox = np.random.Philox(0)
        self.counter = [0, 0, 0, 0]  # lists take half the time of arrays
        self.key = [0, 0]
        self.state: dict[str, object] = {
            "bit_generator": "Philox",
            "state": {"counter": self.counter, "key": self.key},
            "buffer": [0] * _WORDS_PER_COUNTER,
            "buffer_pos": _WORDS_PER_COUNTER,  # the buffer is empty: the next word comes from the counter
            "has_uint32": 0,
            "uinteger": 0,
        }


_stream = _Stream()


def draw_latents(
    seed: int, first: int, n: int, *, z_dim: int, prior: Prior, truncation: float = 1.0, ballots: int = 0
) -> NDArray[np.float32]:
    """Draw the latents of images first … first + n − 1 of a seed.

    Args:
        seed: the seed, 0 ≤ seed < 2⁵³.
        first: index of the first image; first + n ≤ 2⁵³.
        n: number of images, ≥ 1.
        z_dim: number of coordinates of one latent, ≥ 1.
        prior: the distribution of a coordinate: "normal", N(0, 1), or "uniform", U(−√3, √3), as in the 2014 paper's
            code; both have unit variance.
        truncation: the factor ψ in (0, 1]; each latent is scaled towards the prior's mean 0: z ← ψ·z.
        ballots: number of coordinates, the last ones, that choose the class (`models.networks.conditional`). They are
            not scaled by ψ, because smaller ballots would make the choice uncertain.

    Returns:
        [n, z_dim] float32. Row k depends only on (seed, first + k), the prior and the truncation.

    Raises:
        LatentError: an argument is out of its range.
    """
    if not 0 < truncation <= 1:
        raise LatentError(f"truncation must be in (0, 1], not {truncation}")
    latents = latents_of_words(draw_words(seed, first, n, z_dim=z_dim), prior=prior)
    if truncation != 1.0:
        latents[:, : z_dim - ballots] *= np.float32(truncation)
    return latents


def draw_words(seed: int, first: int, n: int, *, z_dim: int) -> NDArray[np.uint64]:
    """Draw the 64-bit random words from which the latents of images first … first + n − 1 of a seed are computed.

    Args:
        seed: the seed, 0 ≤ seed < 2⁵³.
        first: index of the first image; first + n ≤ 2⁵³.
        n: number of images, ≥ 1.
        z_dim: number of coordinates of one latent, ≥ 1.

    Returns:
        [n, z_dim] uint64, one word for each coordinate. Row k depends only on (seed, first + k).

    Raises:
        LatentError: an argument is out of its range.
    """
    check_request(seed, first, n, z_dim=z_dim)
    counters = -(-z_dim // _WORDS_PER_COUNTER)
    return _random_words(seed, first * counters, n * counters * _WORDS_PER_COUNTER).reshape(n, -1)[:, :z_dim]


def latents_of_words(words: NDArray[np.uint64], *, prior: Prior) -> NDArray[np.float32]:
    """Convert random words, of any shape, to coordinates of latents, float32. Each depends only on its own word."""
    uniform = _uniform_01(words)
    z = torch.special.ndtri(torch.from_numpy(uniform)).numpy() if prior == "normal" else to_uniform_prior(uniform)
    return z.astype(np.float32)


def to_uniform_prior(shares: Numbers) -> Numbers:
    """Apply the uniform prior's quantile function: shares in [0, 1], of any shape → values of U(−√3, √3)."""
    return (shares * 2 - 1) * UNIFORM_BOUND


def share_below(z: Numbers) -> Numbers:
    """Apply the uniform prior's distribution function, the inverse of `to_uniform_prior`.

    The result is not clipped: a coordinate outside the prior's bounds gives a share below 0 or above 1.
    """
    return (z / UNIFORM_BOUND + 1) / 2


def check_latents(latents: object, *, z_dim: int) -> NDArray[np.float32]:
    """Check latents that come from a request, and convert them to an array.

    Args:
        latents: any object that NumPy reads as [n, z_dim] numbers.
        z_dim: the width of the model's latents.

    Returns:
        [n, z_dim] float32, n ≥ 1, finite and within ± MAX_LATENT.

    Raises:
        LatentError: the latents have another shape, or a number that is not allowed; the message names the value.
    """
    try:
        array = np.asarray(latents, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise LatentError(f"latents must be a list of lists of {z_dim} numbers each: {error}") from error
    if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] != z_dim:
        raise LatentError(f"latents must have the shape [n, {z_dim}] with n ≥ 1, not {list(array.shape)}")
    # `<=` and then `not`, because a NaN fails this comparison too.
    within = np.abs(array) <= MAX_LATENT
    if not within.all():
        row, column = np.argwhere(~within)[0]
        raise LatentError(
            f"latents[{row}][{column}] is {array[row, column]}; each must be finite and within ±{MAX_LATENT:g}"
        )
    return array.astype(np.float32)


def check_request(seed: int, first: int, n: int, *, z_dim: int) -> None:
    """Check these arguments of `draw_latents` without drawing anything.

    Raises:
        LatentError: an argument is out of its range.
    """
    if not 0 <= seed < SEED_LIMIT:
        raise LatentError(f"seed must be 0 ≤ seed < 2**53, not {seed}")
    if n < 1:
        raise LatentError(f"n must be at least 1, not {n}")
    if first < 0 or first + n > INDEX_LIMIT:
        raise LatentError(f"first must be ≥ 0 and first + n ≤ 2**53, not first={first}, n={n}")
    if z_dim < 1:
        raise LatentError(f"z_dim must be at least 1, not {z_dim}")


def _uniform_01(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Convert words, of any shape, to float64 uniform on (0, 1). It is never 0 or 1, where ndtri is infinite."""
    # The top 52 bits k become the fraction of a float64 in [1, 2), which is 1 + k·2⁻⁵². Subtracting 1 − 2⁻⁵³ gives
    # (k + ½)·2⁻⁵², the middle of k's cell, without rounding; the largest value is 1 − 2⁻⁵³.
    fractions = words >> _DROPPED_BITS
    fractions |= _ONE
    uniform = fractions.view(np.float64)
    uniform -= 1 - 2.0**-53
    return uniform


def _random_words(key: int, counter: int, n: int) -> NDArray[np.uint64]:
    """Return n words of the stream `np.random.Philox(key=key, counter=counter)`."""
    stream = _stream
    stream.counter[0], stream.counter[1] = counter % 2**64, counter >> 64
    stream.key[0] = key
    philox = stream.philox
    philox.state = stream.state  # type: ignore[assignment]  # its type is private to NumPy; the state is copied
    return philox.random_raw(n)
