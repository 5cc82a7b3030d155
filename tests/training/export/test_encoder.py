"""Training an encoder: its loss computed by hand, that it learns, that it is repeatable, and the export with one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.images import ImageShape
from models.latents import draw_latents
from models.model_folder.read import load_model
from models.networks.encoder import Encoder
from tests.training.support import exported_bytes, make_config, play, tiny_recipe, write_npz
from training.cli.command_line import main
from training.errors import NotFiniteError
from training.export.encoder import IMAGE_WEIGHT, encoder_loss, train_encoder
from training.run.folder import RunFolder

SHAPE = ImageShape(height=16, width=16)
SIZES = Encoder(widths=(32,))


class Affine(nn.Module):
    """G(z) = tanh(A·z), with 4 latent coordinates."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.from_numpy(np.random.default_rng(0).standard_normal((256, 4))).float() * 0.3)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(z @ self.a.T).reshape(-1, 1, 16, 16)


def train(*overrides: str, generator: nn.Module | None = None, seed: int = 0, steps: int = 150) -> nn.Module:
    recipe = tiny_recipe("mlp", f"encoder_steps={steps}", *overrides)
    return train_encoder(
        generator or Affine(), recipe, sizes=SIZES, image_shape=SHAPE, seed=seed, say=lambda text: None
    )


def test_loss_by_hand() -> None:
    latents = torch.tensor([[1.0, 2.0, 0.0, 0.0], [0.0, -1.0, 0.0, 1.0]])
    guess = torch.tensor([[0.0, 2.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0]])
    generator = Affine()
    loss = float(encoder_loss(lambda _images: guess, generator, latents).detach())  # type: ignore[arg-type]
    a = generator.a.detach().double().numpy()
    images, guessed = (np.tanh(z.double().numpy() @ a.T) for z in (latents, guess))
    assert loss == pytest.approx((1 + 4) / 8 + IMAGE_WEIGHT * ((images - guessed) ** 2).mean(), rel=1e-5)


@pytest.mark.parametrize(
    "overrides", [(), ("prior=uniform",), ("precision=bfloat16",)], ids=["normal", "uniform", "bf16"]
)
def test_it_learns(overrides: tuple[str, ...]) -> None:
    """Compare with the constant guess 0, whose squared error is 1, the variance of the prior."""
    generator, encoder = Affine(), train(*overrides)
    prior = "uniform" if "prior=uniform" in overrides else "normal"
    latents = torch.from_numpy(draw_latents(77, 0, 200, z_dim=4, prior=prior))  # type: ignore[arg-type]
    with torch.no_grad():
        assert float((encoder(generator(latents)) - latents).square().mean()) < 0.3


def test_generator_stays_as_it_is_and_encoder_is_ready() -> None:
    generator = Affine()
    before = generator.a.detach().clone()
    encoder = train(generator=generator, steps=3)
    assert torch.equal(generator.a, before)
    assert generator.a.requires_grad
    assert generator.a.grad is None
    assert not encoder.training
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_the_same_seed_gives_the_same_encoder() -> None:
    def weights(seed: int) -> list[bytes]:
        torch.rand(1)  # global state does not matter
        return [tensor.numpy().tobytes() for tensor in train(seed=seed, steps=5).state_dict().values()]

    assert weights(1) == weights(1)
    assert weights(1) != weights(2)


def test_it_tells_how_it_goes() -> None:
    told: list[str] = []
    recipe = tiny_recipe("mlp", "encoder_steps=20")
    train_encoder(Affine(), recipe, sizes=SIZES, image_shape=SHAPE, seed=0, say=told.append)
    assert [text.split(", loss")[0] for text in told] == [f"encoder: step {step} of 20" for step in range(2, 21, 2)]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("encoder_steps=-1", "encoder_steps: Input should be greater than or equal to 0"),
        (
            "epochs=3",
            "export can change only judge_steps, encoder_steps, quantise, tone_curve, judge_variations with --set, not",
        ),
        ("encoder_steps", "--set takes key=value, not 'encoder_steps'"),
    ],
)
def test_settings_that_an_export_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, said: str
) -> None:
    recipe = tiny_recipe("mlp", "epochs=1")
    folder, config = RunFolder(tmp_path / "run"), make_config(recipe, write_npz(tmp_path / "data.npz"))
    folder.create(config)
    play(folder, config)
    assert main(["export", str(tmp_path / "run"), "--to", str(tmp_path / "model"), "--set", setting]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_a_generator_without_numbers() -> None:
    generator = Affine()
    nn.init.constant_(generator.a, torch.nan)
    with pytest.raises(NotFiniteError, match="the encoder's loss is nan"):
        train(generator=generator, steps=10)


def test_export_with_an_encoder(tmp_path: Path) -> None:
    """The encoder is in the file and the metadata, and depends only on the run; no file names one without having it."""
    data = write_npz(tmp_path / "data.npz")
    found = {}
    for steps in (0, 4):
        config = make_config(tiny_recipe("mlp", f"encoder_steps={steps}", "epochs=1"), data)
        folder = RunFolder(tmp_path / f"run{steps}")
        folder.create(config)
        play(folder, config)
        found[steps] = exported_bytes(folder, config, tmp_path / f"model{steps}")
        assert exported_bytes(folder, config, tmp_path / f"model{steps}") == found[steps]
    assert b"encoder" not in found[0]
    model = load_model(tmp_path / "model4")
    assert model.metadata.encoder == Encoder.for_images(SHAPE)
    assert model.encoder is not None
    assert model.encoder(torch.zeros(1, 1, 16, 16)).shape == (1, 4)
    later = tmp_path / "later"
    assert main(["export", str(tmp_path / "run0"), "--to", str(later), "--set", "encoder_steps=4"]) == 0
    added = load_model(later)
    assert added.encoder is not None
    for name, tensor in added.encoder.state_dict().items():
        assert torch.equal(tensor, model.encoder.state_dict()[name])
    assert "--to later --set encoder_steps=4\n" in added.card
    without = load_model(tmp_path / "model0")
    assert " --set " not in without.card.split("export RUN")[1].split("\n")[0]
    assert (without.encoder, without.metadata.encoder) == (None, None)
    for name, tensor in without.generator.state_dict().items():
        assert torch.equal(tensor, model.generator.state_dict()[name])
