"""Model folders that are written in a moment: real networks of a few hundred weights, untrained."""

import struct
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from models.images import ImageShape
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.latents import Prior, draw_latents
from models.model_folder.calibration import calibrate
from models.model_folder.game_rules import GameRules
from models.model_folder.history import EpochRecord, History
from models.model_folder.metadata import Metadata
from models.model_folder.write import write_model
from models.networks.architectures import Architecture
from models.networks.build import build_networks
from models.networks.encoder import Encoder
from models.networks.mlp import MLP, initialise_like_pytorch
from models.networks.quantised import quantise
from models.tone_curve import ToneCurve

STEEP = ToneCurve([min(max(2 * level - 128, 0), 255) for level in range(256)])
"""A tone curve that doubles the contrast of the middle grey levels."""

TINY_MLP = MLP(generator_widths=(12,), discriminator_widths=(8,))


def make_tiny_model_folder(
    path: Path,
    *,
    z_dim: int = 8,
    seed: int = 0,
    prior: Prior = "normal",
    image_shape: ImageShape | None = None,
    architecture: Architecture = TINY_MLP,
    classes: int = 0,
    class_names: tuple[str, ...] = (),
    encoder: Encoder | None = None,
    quantised: bool = False,
    tone_curve: ToneCurve | None = None,
    rules: GameRules | None = None,
    judge: bool | None = None,
) -> Path:
    """Write a valid model folder of a tiny untrained pair to `path` and return it.

    With `class_names` it is a model of a person's own data, which are no digits.
    """
    classes = classes or len(class_names)
    data_sha256 = "ab" * 32 if class_names else None
    shape = image_shape or ImageShape()
    ballots = classes or (rules.clusters if rules else 0)
    generator, discriminator = build_networks(architecture, z_dim=z_dim, image_shape=shape, classes=ballots)
    rng = torch.Generator().manual_seed(seed)
    means = torch.full(shape.chw, 0.13)
    architecture.initialise(generator, discriminator, rng=rng, pixel_means=means)
    with torch.no_grad():
        for parameter in generator.parameters():  # larger than the initial weights, so that pictures differ
            parameter.mul_(3)
    if quantised:
        generator = quantise(generator, torch.from_numpy(draw_latents(2, 0, 256, z_dim=z_dim, prior=prior)))
    sampler = Sampler(generator, z_dim=z_dim, image_shape=shape, tone_curve=tone_curve)
    samples = sampler(draw_latents(1, 0, 64, z_dim=z_dim, prior=prior))
    logits = Scorer(discriminator, image_shape=shape)(samples)
    write_model(
        path,
        metadata=Metadata(
            format_version=5 if class_names else _format_version(rules, judge, tone_curve),
            architecture=architecture,
            z_dim=z_dim,
            prior=prior,
            image_shape=shape,
            classes=classes,
            class_names=class_names,
            quantised=quantised,
            tone_curve=None if tone_curve is None else tone_curve.levels,
            encoder=encoder,
            dataset="none",
            data_sha256=data_sha256,
            recipe="tiny",
            rules=rules,
            judge=judge,
            seed=seed,
            epochs=2,
            images_seen=128,
            git_commit="0" * 40,
            calibration=calibrate(logits + 1, logits),
            evaluation={"value": -1.4},
            licence="MIT",
        ),
        generator=generator,
        discriminator=discriminator,
        encoder=_untrained(encoder, z_dim, shape, rng),
        history=History(epochs=tuple(_record(epoch) for epoch in (1, 2))),
        timeline={0: tiny_png(0), 1: tiny_png(90), 2: tiny_png(180)},
        card="# Tiny\n\nAn untrained model for tests.\n",
    )
    return path


def _format_version(rules: GameRules | None, judge: bool | None, tone_curve: ToneCurve | None) -> Literal[1, 3, 4]:
    if tone_curve is not None:
        return 4
    return 1 if rules is None and judge is None else 3


def write_models_named_as_bundled(folder: Path) -> Path:
    """Write three tiny models under the names of bundled ones: a conditional, a quantised and an RGB one.

    The quantised one has a tone curve.

    Args:
        folder: a new folder of model folders.
    """
    folder.mkdir()
    make_tiny_model_folder(folder / "mnist-conv", z_dim=16, classes=10, encoder=Encoder(widths=(8,)))
    make_tiny_model_folder(folder / "mnist-mlp", quantised=True, tone_curve=STEEP)
    rgb = ImageShape(channels=3, height=32, width=32)
    make_tiny_model_folder(folder / "mnist-goodfellow2014-labels", prior="uniform", image_shape=rgb)
    return folder


def tiny_png(grey: int, side: int = 8) -> bytes:
    """Return a valid grey PNG of one shade, written by hand."""
    rows = np.full((side, side + 1), grey, dtype=np.uint8)
    rows[:, 0] = 0  # the filter of each row
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes())),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*chunks, (b"IEND", b"")]
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _untrained(sizes: Encoder | None, z_dim: int, shape: ImageShape, rng: torch.Generator) -> nn.Module | None:
    if sizes is None:
        return None
    network = sizes.network(z_dim=z_dim, image_shape=shape)
    initialise_like_pytorch(network, rng)
    return network


def _record(epoch: int) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        images=64 * epoch,
        seconds=float(epoch),
        loss_d=0.69,
        loss_g=0.7,
        d_real=0.5,
        d_fake=0.5,
        value=-1.4,
    )
