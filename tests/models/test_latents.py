"""Latents, compared with Philox as its paper defines it, and the priors, compared with the standard library."""

import json
from statistics import NormalDist

import numpy as np
import pytest
import torch

from models.errors import LatentError
from models.latents import (
    INDEX_LIMIT,
    MAX_LATENT,
    SEED_LIMIT,
    UNIFORM_BOUND,
    Prior,
    check_latents,
    draw_latents,
    draw_words,
    latents_of_words,
    share_below,
    to_uniform_prior,
)

MASK = 2**64 - 1


def philox_4x64_10(counter: int, key: int) -> list[int]:
    """Compute one block of Philox-4×64 with 10 rounds (Salmon et al. 2011) in Python integers."""
    x = [(counter >> (64 * k)) & MASK for k in range(4)]
    k0, k1 = key & MASK, key >> 64
    for turn in range(10):
        if turn:
            k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
        p0, p1 = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [(p1 >> 64) ^ x[1] ^ k0, p1 & MASK, (p0 >> 64) ^ x[3] ^ k1, p0 & MASK]
    return x


def words(number: int, n: int) -> int:
    """Reverse the order of a number's words, because word 0 of a counter or key is the least significant."""
    return sum(((number >> (64 * (n - 1 - k))) & MASK) << (64 * k) for k in range(n))


def by_hand(seed: int, index: int, z_dim: int, prior: Prior) -> list[float]:
    """Compute z(seed, index) by the definition: each image owns ⌈z_dim/4⌉ counter values."""
    blocks = -(-z_dim // 4)
    # NumPy increments the counter before each block, so an image's first block is the one after its offset.
    words = [w for k in range(blocks) for w in philox_4x64_10(index * blocks + k + 1, seed)][:z_dim]
    uniform = [((word >> 12) + 0.5) / 2**52 for word in words]
    if prior == "normal":
        return [NormalDist().inv_cdf(u) for u in uniform]
    return [(2 * u - 1) * 3**0.5 for u in uniform]


PI = 0x243F6A8885A308D313198A2E03707344A4093822299F31D0082EFA98EC4E6C89452821E638D01377BE5466CF34E90C6C


@pytest.mark.parametrize(
    ("counter", "key", "block"),
    [
        (0, 0, "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"),
        (2**256 - 1, 2**128 - 1, "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0"),
        (
            words(PI >> 128, 4),
            words(PI & (2**128 - 1), 2),
            "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_the_definition_gives_the_papers_known_answers(counter: int, key: int, block: str) -> None:
    """These are the known answers that come with Random123, the library of the paper's authors."""
    assert " ".join(f"{word:016x}" for word in philox_4x64_10(counter, key)) == block


@pytest.mark.parametrize("prior", ["normal", "uniform"])
@pytest.mark.parametrize(
    ("seed", "index", "z_dim"),
    [(0, 0, 4), (7, 3, 100), (SEED_LIMIT - 1, 12345, 5), (1, 2**52, 3), (2, INDEX_LIMIT - 1, 4096)],
)
def test_against_the_definition(seed: int, index: int, z_dim: int, prior: Prior) -> None:
    drawn = draw_latents(seed, index, 1, z_dim=z_dim, prior=prior)
    np.testing.assert_allclose(drawn[0], by_hand(seed, index, z_dim, prior), rtol=3e-7, atol=1e-9)


def test_pinned_for_ever() -> None:
    """These values must never change, because every permanent URL depends on them."""
    assert draw_latents(7, 0, 1, z_dim=4, prior="normal").tolist() == PINNED_NORMAL
    assert draw_latents(7, 0, 1, z_dim=4, prior="uniform").tolist() == PINNED_UNIFORM


PINNED_NORMAL = [[1.1362472772598267, -0.5377773642539978, -0.20164360105991364, -0.23941411077976227]]
PINNED_UNIFORM = [[1.2889002561569214, -0.7088751196861267, -0.27678975462913513, -0.32773086428642273]]


@pytest.mark.parametrize("prior", ["normal", "uniform"])
@pytest.mark.parametrize("z_dim", [1, 3, 4, 5, 100])
def test_every_window_is_a_part_of_the_whole(z_dim: int, prior: Prior) -> None:
    whole = draw_latents(11, 0, 24, z_dim=z_dim, prior=prior, truncation=0.9)
    for first in range(24):
        for n in range(1, 25 - first):
            window = draw_latents(11, first, n, z_dim=z_dim, prior=prior, truncation=0.9)
            assert (window == whole[first : first + n]).all(), (first, n)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_words_share_a_batch_unseen(prior: Prior) -> None:
    """Words give the same bits alone and in a batch, because latents of simultaneous requests are computed together."""
    words = np.concatenate([draw_words(seed, 5, 1, z_dim=99) for seed in range(80)])
    alone = np.concatenate([draw_latents(seed, 5, 1, z_dim=99, prior=prior) for seed in range(80)])
    for n in range(1, 67):
        for start in (0, 1, 7, 80 - n):
            together = latents_of_words(words[start : start + n], prior=prior)
            assert together.tobytes() == alone[start : start + n].tobytes()


@pytest.mark.parametrize(("prior", "fourth_moment", "bound"), [("normal", 3.0, 6.0), ("uniform", 1.8, 3**0.5)])
def test_moments(prior: Prior, fourth_moment: float, bound: float) -> None:
    z = draw_latents(3, 0, 10_000, z_dim=100, prior=prior).astype(np.float64)
    assert abs(z.mean()) < 5e-3
    assert abs(z.var() - 1) < 1e-2
    assert abs((z**4).mean() - fourth_moment) < 0.05
    assert np.abs(z).max() <= bound
    assert abs(np.corrcoef(z[:, 0], z[:, 1])[0, 1]) < 0.05
    assert abs(np.corrcoef(z[:-1, 0], z[1:, 0])[0, 1]) < 0.05


def test_seeds_and_indices_differ() -> None:
    rows = [draw_latents(seed, index, 1, z_dim=8, prior="normal")[0] for seed in range(20) for index in range(20)]
    assert len(np.unique(np.stack(rows), axis=0)) == 400


def test_extreme_words_stay_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    def extremes(_key: int, _counter: int, size: int) -> object:
        return np.resize(np.array([0, MASK, 1, MASK - 1], dtype=np.uint64), size)

    monkeypatch.setattr("models.latents._random_words", extremes)
    ends = {"normal": -NormalDist().inv_cdf(2.0**-53), "uniform": 3**0.5 * (1 - 2.0**-52)}
    priors: tuple[Prior, ...] = ("normal", "uniform")
    for prior in priors:
        z = draw_latents(0, 0, 3, z_dim=4, prior=prior)
        assert np.isfinite(z).all()
        # 0 and 1 share their upper 52 bits, and so do the two largest words.
        np.testing.assert_allclose(z, np.tile([-ends[prior], ends[prior]] * 2, (3, 1)), rtol=3e-7)


@pytest.mark.parametrize("truncation", [0.001, 0.5, 1.0])
def test_truncation_scales(truncation: float) -> None:
    full = draw_latents(5, 0, 3, z_dim=6, prior="normal")
    cut = draw_latents(5, 0, 3, z_dim=6, prior="normal", truncation=truncation)
    assert cut.dtype == np.float32
    assert (cut == full * np.float32(truncation)).all()


def test_truncation_does_not_scale_ballots() -> None:
    full = draw_latents(5, 0, 3, z_dim=6, prior="uniform")
    cut = draw_latents(5, 0, 3, z_dim=6, prior="uniform", truncation=0.5, ballots=2)
    assert (cut[:, :4] == full[:, :4] / 2).all()
    assert (cut[:, 4:] == full[:, 4:]).all()


@pytest.mark.parametrize(
    "arguments", [(0, 0, 1), (SEED_LIMIT - 1, 0, 1), (0, INDEX_LIMIT - 1, 1), (0, INDEX_LIMIT - 3, 3)]
)
def test_inside_the_limits(arguments: tuple[int, int, int]) -> None:
    assert draw_latents(*arguments, z_dim=1, prior="normal").shape == (arguments[2], 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, 1), "seed must be"),
        ((SEED_LIMIT, 0, 1), "seed must be"),
        ((0, 0, 0), "n must be at least 1"),
        ((0, -1, 1), "first must be"),
        ((0, INDEX_LIMIT, 1), "first must be"),
        ((0, INDEX_LIMIT - 2, 3), "first must be"),
    ],
)
def test_outside_the_limits(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(LatentError, match=message):
        draw_latents(*arguments, z_dim=1, prior="normal")


@pytest.mark.parametrize("truncation", [0, -0.5, 1.0000001, float("nan"), float("inf")])
def test_truncation_outside_the_limits(truncation: float) -> None:
    with pytest.raises(LatentError, match="truncation must be in"):
        draw_latents(0, 0, 1, z_dim=1, prior="normal", truncation=truncation)


def test_z_dim_below_one() -> None:
    with pytest.raises(LatentError, match="z_dim"):
        draw_latents(0, 0, 1, z_dim=0, prior="normal")


def test_global_random_state_plays_no_part() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    draw_latents(0, 0, 5, z_dim=5, prior="normal")
    assert torch.equal(torch.get_rng_state(), before)


def test_json_and_back_is_exact() -> None:
    z = draw_latents(9, 0, 50, z_dim=20, prior="normal", truncation=0.7)
    again = check_latents(json.loads(json.dumps(z.tolist())), z_dim=20)
    assert again.dtype == np.float32
    assert (again == z).all()


def test_largest_posted_latent() -> None:
    assert check_latents([[MAX_LATENT, -MAX_LATENT]], z_dim=2).tolist() == [[MAX_LATENT, -MAX_LATENT]]


@pytest.mark.parametrize(
    ("posted", "message"),
    [
        ([], r"shape \[n, 2\]"),
        ([[]], r"shape \[n, 2\]"),
        ([1, 2], r"shape \[n, 2\]"),
        ([[1, 2, 3]], r"not \[1, 3\]"),
        ([[1, 2], [3]], "list of lists of 2 numbers"),
        ([["a", "b"]], "list of lists of 2 numbers"),
        ([[None, 1]], "finite"),
        ([[float("nan"), 1]], r"latents\[0\]\[0\] is nan"),
        ([[0, 1], [2, float("-inf")]], r"latents\[1\]\[1\] is -inf"),
        ([[0, np.nextafter(MAX_LATENT, np.inf)]], r"latents\[0\]\[1\] is 1000000.0000000001; .* within ±1e\+06"),
        ([[np.nextafter(-MAX_LATENT, -np.inf), 0]], r"latents\[0\]\[0\] is -1000000.0000000001"),
        ([[[1, 2]]], r"not \[1, 1, 2\]"),
        (7, r"not \[\]"),
        ([[0, 10**400]], "list of lists of 2 numbers"),
        ({"a": 1}, "list of lists of 2 numbers"),
    ],
)
def test_bad_posted_latents(posted: object, message: str) -> None:
    with pytest.raises(LatentError, match=message):
        check_latents(posted, z_dim=2)


def test_the_uniform_priors_quantiles_and_their_inverse():
    shares = np.linspace(0, 1, 1001)
    z = to_uniform_prior(shares)
    assert (z[0], z[500], z[-1]) == (-UNIFORM_BOUND, 0, UNIFORM_BOUND)
    assert pytest.approx(1) == UNIFORM_BOUND**2 / 3  # the variance of U(−b, b) is b²/3
    np.testing.assert_allclose(share_below(z), shares, atol=1e-15)
    assert np.array_equal(to_uniform_prior(torch.from_numpy(shares)).numpy(), z)
    assert np.array_equal(share_below(torch.from_numpy(z)).numpy(), share_below(z))
