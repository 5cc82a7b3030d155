"""What a run will cost: the figures of a tiny run, and the words for them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.support import make_config, tiny_images, tiny_recipe, write_npz
from training.cost import Cost, measure_cost
from training.data.dataset import load_dataset

COST = Cost(
    generator_weights=240_611,
    discriminator_weights=107_626,
    steps=4,
    images_per_s=200.0,
    memory_bytes=3 * 2**29,
    on_gpu=False,
)


@pytest.mark.parametrize("overrides", [(), ("conditional=true",), ("clusters=2",), ("d_steps=2", "penalty_interval=3")])
def test_a_tiny_run(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    data = tmp_path / "data.npz"
    np.savez(data, images=tiny_images(60), labels=np.arange(60) % 3)
    config = make_config(tiny_recipe("photos", "z_dim=8", *overrides), data)
    dataset = load_dataset(str(data))
    before = dataset.fingerprint()
    cost = measure_cost(config, dataset)
    game_weights = cost.generator_weights, cost.discriminator_weights
    assert min(game_weights) > 100
    assert cost.steps == config.recipe.penalty_interval
    assert cost.images_per_s > 0
    assert cost.memory_bytes is not None
    assert 2**20 < cost.memory_bytes < 2**40
    assert not cost.on_gpu
    assert dataset.fingerprint() == before


def test_slow_steps_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.cost.ENOUGH_S", 1e-9)
    config = make_config(tiny_recipe("photos", "penalty_interval=5"), write_npz(tmp_path / "data.npz"))
    assert measure_cost(config, load_dataset(str(tmp_path / "data.npz"))).steps == 1


def test_the_words(tmp_path: Path) -> None:
    config = make_config(tiny_recipe("photos", "epochs=1000"), write_npz(tmp_path / "data.npz"))
    images = config.total_steps * config.recipe.batch_size
    weights, speed, length = COST.describe(config).splitlines()
    assert weights == "G has 240,611 weights, and D 107,626"
    assert speed == "4 step(s) of one process on this machine: 200 images/s, 1,536 MiB of memory"
    assert length.startswith(f"estimate: the run shows {images:,} images and takes {images / 200 / 60:.0f} minutes; ")
    assert "200 images/s, memory unknown" in replace(COST, memory_bytes=None).describe(config)
    assert "1,536 MiB of the GPU" in replace(COST, on_gpu=True).describe(config)
    slow = replace(COST, images_per_s=images / 9000)
    assert "takes 2.5 hours; " in slow.describe(config)
    limited = config.model_copy(update={"minutes": 30.0})
    assert "takes 2.5 hours, but ends after 30 minutes (--minutes), before the rates" in slow.describe(limited)
    assert "--minutes" not in COST.describe(config.model_copy(update={"minutes": 30.0}))
