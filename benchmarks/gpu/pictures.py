"""Pictures of a model on a device, beside those that the CPU draws from the same latents; and their rates."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from harness.service import running
from models.device import DeviceName
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.latents import draw_latents
from models.model_folder.read import load_model


@dataclass(frozen=True)
class PictureDifference:
    """The pictures of two devices from the same latents.

    Attributes:
        levels: the largest difference of a pixel, in grey levels.
        share: the share of pixels that differ; a colour channel counts as a pixel.
        logits: the largest difference of D's logits for the CPU's pictures.
    """

    levels: int
    share: float
    logits: float


@dataclass(frozen=True)
class Drawn:
    """What a model does on a device.

    Attributes:
        difference: its pictures and logits beside the CPU's.
        rates: images a second of the sampler, for each number of images in a call.
        service_rate: images a second of a service on the device, asked for grids of 64 images one after another.
        service_levels: the largest difference, in grey levels, between the service's pictures and the sampler's.
    """

    difference: PictureDifference
    rates: dict[int, float]
    service_rate: float
    service_levels: int


def measure_pictures(
    folder: Path, *, device_name: DeviceName, device: torch.device, images: int, sizes: tuple[int, ...], seconds: float
) -> Drawn:
    """Draw `images` images of a model folder on the CPU and on a device, compare them, and measure the device's rates.

    Args:
        folder: the model folder.
        device_name: the device, as the service's setting.
        device: the same device.
        images: the number of images to compare.
        sizes: the numbers of images in a call of the sampler.
        seconds: the least time of each measured rate.

    Raises:
        ModelFolderError: the folder cannot be read.
        RuntimeError: the service does not start on this device.
    """
    model = load_model(folder)
    z_dim, prior = model.metadata.z_dim, model.metadata.prior
    latents = draw_latents(0, 0, max(images, *sizes), z_dim=z_dim, prior=prior)
    right = Sampler.of_model(model)(latents[:images])
    right_logits = Scorer.of_model(model)(right)
    model = load_model(folder)  # samplers share the model's weights, and `to` would move those of the CPU's
    sampler, scorer = Sampler.of_model(model, device=device), Scorer.of_model(model, device=device)
    seen = sampler(latents[:images])
    levels = levels_between(seen, right)
    difference = PictureDifference(
        levels=int(levels.max()),
        share=float((levels > 0).mean()),
        logits=float(np.abs(scorer(right) - right_logits).max()),
    )
    rates = {n: n * calls_per_s(lambda n=n: sampler(latents[:n]), seconds=seconds) for n in sizes}  # type: ignore[misc]
    served, service_rate = _of_service(folder, device_name=device_name, seconds=seconds)
    own = sampler(served.latents)
    return Drawn(difference, rates, service_rate, int(levels_between(served.images, own).max()))


@dataclass(frozen=True)
class _Served:
    images: NDArray[np.uint8]
    latents: NDArray[np.float32]


def _of_service(folder: Path, *, device_name: DeviceName, seconds: float) -> tuple[_Served, float]:
    """Return 64 images of a service with their latents, and its rate in images a second."""
    with (
        tempfile.TemporaryDirectory(prefix="gan-gpu-") as scratch,
        running(
            Path(scratch), models_dir=folder.parent, default_model=folder.name, device=device_name, log_level="warning"
        ) as service,
    ):
        answer = service.client.get("/v1/samples?n=64&seed=7&format=npz").raise_for_status()
        with np.load(BytesIO(answer.content)) as arrays:
            served = _Served(arrays["images"], arrays["latents"])
        seeds = iter(range(100, 2**31))

        def ask() -> None:
            service.client.get(f"/v1/samples?n=64&format=png&seed={next(seeds)}").raise_for_status()

        return served, 64 * calls_per_s(ask, seconds=seconds)


def levels_between(some: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the distance of each pixel of some images from that of others, in grey levels: 0 to 255."""
    return np.abs(some.astype(np.int16) - others.astype(np.int16))


def calls_per_s(call: Callable[[], object], *, seconds: float) -> float:
    """Return how often a second a function can be called; the first call is not timed, and at least one is."""
    call()
    began_s, calls = time.perf_counter(), 0
    while not calls or time.perf_counter() - began_s < seconds:
        call()
        calls += 1
    return calls / (time.perf_counter() - began_s)
