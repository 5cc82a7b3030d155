"""The resolved configuration of a run: everything that decides its result, with nothing left to a default.

A recipe (`training.recipe`) is what a person writes; the configuration is that recipe for given data, seed and machine.
"""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from models.device import DeviceName, resolve_device
from models.images import ImageShape
from models.latents import SEED_LIMIT
from models.networks.conditional import MAX_CLASSES
from training.data.dataset import RULE, Dataset
from training.errors import RecipeError, RunError
from training.provenance import read_git_commit
from training.recipe import Recipe


class RunConfig(BaseModel):
    """The contents of a run folder's `config.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe_name: str
    recipe: Recipe = Field(description="Every setting, with the command line's changes")
    overrides: tuple[str, ...] = Field(description="The command line's changes to the recipe, as key=value")
    data: str = Field(description="The data as given to --data: a name or a path")
    dataset: str = Field(description="Name of the data set")
    data_sha256: str = Field(description="Fingerprint of all images and labels")
    train_images: int
    held_out_images: int
    data_rule: int = Field(default=1, ge=1, description="Version of the rules by which own data are read and split")
    skipped_images: int = Field(default=0, ge=0, description="Files of the folder that could not be read")
    image_shape: ImageShape
    classes: int = Field(default=0, ge=0, description="Number of classes; 0: unconditional game")
    class_names: tuple[str, ...] = Field(default=(), description="The names of the classes, if the data have labels")
    seed: int = Field(ge=0, lt=SEED_LIMIT)
    minutes: float | None = Field(description="Stop after this many minutes of training; None: no limit")
    on_collapse: Literal["warn", "rollback"] = Field(default="warn", description="The reaction to a collapse alarm")
    device: Literal["cpu", "cuda"]
    threads: int = Field(ge=1, description="Threads of PyTorch's operators in each process; results depend on it")
    processes: int = Field(default=1, ge=1, description="Processes that started the run; results depend on it")
    torch_version: str
    git_commit: str

    @property
    def total_steps(self) -> int:
        """The number of G's steps in the whole run, unless `minutes` ends it earlier."""
        return self.recipe.epochs * self.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        """The number of G's steps in one pass over the data; the last, smaller batch is dropped."""
        return self.train_images // self.recipe.batch_size

    def check_data(self, dataset: Dataset) -> None:
        """Check that the images are exactly those that the run began with; otherwise other images would be held out.

        Raises:
            RunError: they are different, or the run began with older rules of reading and splitting data.
        """
        if self.data_rule != RULE and not dataset.digits:
            raise RunError(
                f"this run began with version {self.data_rule} of the rules by which {self.data!r} is read and split, "
                f"and this release has version {RULE}, which would hold out other images: resume and export the run "
                f"with the release that began it (commit {self.git_commit}), or start a new run with `fit`"
            )
        if dataset.fingerprint() == self.data_sha256:
            return
        then, now = (
            f"{train:,} to train on, {held_out:,} held out, {skipped:,} skipped"
            for train, held_out, skipped in (
                (self.train_images, self.held_out_images, self.skipped_images),
                (len(dataset.images), len(dataset.held_out), len(dataset.skipped)),
            )
        )
        counts = f" (then: {then}; now: {now})" if then != now else ""
        raise RunError(
            f"the images of {self.data!r} are not those that the run began with{counts}; the run cannot be "
            "resumed or exported without them"
        )


def resolve_config(
    recipe: Recipe,
    dataset: Dataset,
    *,
    recipe_name: str,
    overrides: tuple[str, ...],
    data: str,
    seed: int,
    minutes: float | None,
    device: DeviceName,
    threads: int | None,
    on_collapse: Literal["warn", "rollback"] = "warn",
    processes: int = 1,
) -> RunConfig:
    """Combine a recipe with its data and the machine, and return the configuration of a run.

    Raises:
        DeviceError: the device is not available.
        RecipeError: the recipe does not fit the data, the number of processes, or `on_collapse`.
    """
    if recipe.batch_size > len(dataset.images):
        raise RecipeError(
            f"batch_size is {recipe.batch_size}, but {dataset.name} has {len(dataset.images)} training images: "
            f"use `--set batch_size={min(recipe.batch_size, len(dataset.images) // 2)}`"
        )
    recipe.check_processes(processes)
    if on_collapse == "rollback" and not recipe.metrics_every_epochs:
        raise RecipeError(
            "`--on-collapse rollback` returns to the best measured state, but metrics_every_epochs is 0: add "
            "`--set metrics_every_epochs=1`"
        )
    if recipe.conditional:
        _check_classes(recipe, dataset)
    resolved_device = resolve_device(device)
    if recipe.precision == "auto":
        recipe = recipe.model_copy(
            update={"precision": "bfloat16" if _is_bfloat16_quick(resolved_device) else "float32"}
        )
    return RunConfig(
        recipe_name=recipe_name,
        overrides=overrides,
        recipe=recipe,
        data=data,
        dataset=dataset.name,
        data_sha256=dataset.fingerprint(),
        train_images=len(dataset.images),
        held_out_images=len(dataset.held_out),
        data_rule=RULE,
        skipped_images=len(dataset.skipped),
        image_shape=dataset.shape,
        classes=dataset.classes if recipe.conditional else 0,
        class_names=dataset.class_names,
        seed=seed,
        minutes=minutes,
        on_collapse=on_collapse,
        device="cuda" if resolved_device.type == "cuda" else "cpu",
        threads=threads or torch.get_num_threads(),
        processes=processes,
        torch_version=torch.__version__,
        git_commit=read_git_commit(),
    )


def _check_classes(recipe: Recipe, dataset: Dataset) -> None:
    if dataset.labels is None:
        raise RecipeError(
            f"a conditional game needs labels, and {dataset.name} has none: put the images into a folder for each "
            "class, or add `labels` to the .npz, or use `--set conditional=false`"
        )
    if not 2 <= dataset.classes <= MAX_CLASSES or dataset.classes >= recipe.z_dim:
        raise RecipeError(
            f"{dataset.name} has {dataset.classes} classes; a conditional game needs 2 to {MAX_CLASSES}, and fewer "
            f"than z_dim = {recipe.z_dim}: use other data, or `--set conditional=false`"
        )


def _is_bfloat16_quick(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
