"""The resolved configuration of a run: everything that decides its result, with nothing left to a default.

A recipe (`training.recipe`) is what a person writes; the configuration is that recipe for given data, seed and machine.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict, Field

from models.device import DeviceKind, DeviceName, resolve_device
from models.images import ImageShape
from models.latents import SEED_LIMIT
from models.networks.conditional import MAX_CLASSES
from training.automatic import NOISE, Facts
from training.data.clusters import check_clusters, with_clusters
from training.data.dataset import EMBEDDED, Dataset
from training.data.reading import READABLE_RULES, RULE, Fit, Reading
from training.errors import RecipeError, RunError
from training.provenance import read_git_commit
from training.recipe import MAX_EPOCHS, Recipe


class Extension(BaseModel):
    """A new length of a run, which `resume --epochs` or `--minutes` set after `fit`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after_epoch: int = Field(ge=0, description="Number of epochs that were done")
    after_step: int = Field(ge=0, description="Number of G's steps that were done")
    epochs: int = Field(ge=1, le=MAX_EPOCHS, description="The new number of epochs of the whole run")
    minutes: float | None = Field(gt=0, description="The new limit of the whole run's minutes; None: no limit")
    asked: str = Field(description="The option that was given to `resume`, such as `--epochs 80`")


FeatureKind: TypeAlias = Literal["built-in", "classifier", "self-supervised"]
"""The kinds of features in which images are compared (`training.evaluation.features`)."""


class RunConfig(BaseModel):
    """The contents of a run folder's `config.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe_name: str = Field(description="The recipe as given to fit: a name, or the path of a .toml file")
    recipe: Recipe = Field(description="Every setting, with the command line's changes")
    overrides: tuple[str, ...] = Field(description="The command line's changes to the recipe, as key=value")
    data: str = Field(description="The data as given to --data: a name or a path")
    data_path: str | None = Field(
        default=None,
        description="The absolute path of the data; None: an embedded data set, or a run of an older version",
    )
    dataset: str = Field(description="Name of the data set")
    data_sha256: str = Field(description="Fingerprint of all images and labels")
    train_images: int
    held_out_images: int
    data_rule: int = Field(default=1, ge=1, description="Version of the rules by which own data are read and split")
    picture_fit: Fit | None = Field(
        default=None, description="How pictures become square; None: cropped if image_side is set, else as they are"
    )
    labels_path: str | None = Field(default=None, description="The absolute path of --labels; None: none was given")
    skipped_images: int = Field(default=0, ge=0, description="Files of the folder that could not be read")
    image_shape: ImageShape
    classes: int = Field(default=0, ge=0, description="Number of classes; 0: unconditional game")
    class_names: tuple[str, ...] = Field(default=(), description="The names of the classes, if the data have labels")
    classes_renamed: bool = Field(default=False, description="Whether --class-names gave the names, and not the data")
    seed: int = Field(ge=0, lt=SEED_LIMIT)
    minutes: float | None = Field(description="Stop after this many minutes of training; None: no limit")
    on_collapse: Literal["warn", "rollback"] = Field(default="warn", description="The reaction to a collapse alarm")
    features: FeatureKind = Field(default="built-in", description="The features in which samples are compared")
    device: DeviceKind
    threads: int = Field(ge=1, description="Threads of PyTorch's operators in each process; results depend on it")
    processes: int = Field(default=1, ge=1, description="Processes that started the run; results depend on it")
    torch_version: str
    git_commit: str
    init_from: str | None = Field(default=None, description="The model whose weights the run began with, name@hash")
    init_from_place: str | None = Field(default=None, description="That model as given to --init-from")
    extensions: tuple[Extension, ...] = Field(default=(), description="New lengths that `resume` set, in order")

    @property
    def recipe_title(self) -> str:
        """The recipe's name or, for a recipe of a person's own, the name of its file."""
        return Path(self.recipe_name).name

    @property
    def game(self) -> str:
        """Which game G and D play, in one sentence."""
        return self.recipe.rules.describe(classes=self.classes, packing=self.recipe.packing)

    @property
    def ballots(self) -> int:
        """The number of a latent's last coordinates that choose a class or, in a game without labels, a cluster."""
        return self.classes or self.recipe.clusters

    @property
    def total_steps(self) -> int:
        """The number of G's steps in the whole run, unless its minutes end it earlier."""
        return self.planned_epochs * self.steps_per_epoch

    @property
    def planned_epochs(self) -> int:
        """The number of epochs of the whole run: the recipe's, or that of the last extension."""
        return self.extensions[-1].epochs if self.extensions else self.recipe.epochs

    @property
    def planned_minutes(self) -> float | None:
        """The limit of the whole run's minutes: that of `fit`, or that of the last extension; None: no limit."""
        return self.extensions[-1].minutes if self.extensions else self.minutes

    @property
    def steps_per_epoch(self) -> int:
        """The number of G's steps in one pass over the data; the last, smaller batch is dropped."""
        return self.train_images // self.recipe.batch_size

    def data_of_the_game(self, dataset: Dataset, *, say: Callable[[str], None]) -> Dataset:
        """Return the data as the game uses them: with clusters in the place of labels, if the recipe says so.

        Args:
            dataset: the data.
            say: receives a line before clusters are found, which may take half a minute.

        Raises:
            RecipeError: there are fewer different images than clusters.
        """
        if not self.recipe.clusters:
            return dataset
        say(f"finding {self.recipe.clusters} clusters of the training images")
        return with_clusters(dataset, self.recipe.clusters)

    def with_class_names(self, names: tuple[str, ...] | None) -> "RunConfig":
        """Return this configuration with other names of the classes; None keeps them.

        Raises:
            RecipeError: the data have another number of classes.
        """
        if names is None:
            return self
        if len(names) != len(self.class_names):
            there = f"{len(self.class_names)} classes" if self.class_names else "no classes"
            raise RecipeError(
                f"--class-names has {len(names)} names, but {self.dataset} has {there}: give one name for each class"
            )
        return self.model_copy(update={"class_names": names, "classes_renamed": True})

    def check_data(self, dataset: Dataset, *, source: str | None = None) -> None:
        """Check that the images are exactly those that the run began with; otherwise other images would be held out.

        Args:
            dataset: the images.
            source: the place of the images, for the error message; None: the place where they were when the run began.

        Raises:
            RunError: the images are different, or the run began with older rules of reading and splitting data.
        """
        if self.data_rule not in READABLE_RULES and not dataset.digits:
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
            f"the images of {source or self.data!r} are not those that the run began with{counts}; the run cannot be "
            "resumed or exported without them: if they are elsewhere now, name the place with --data"
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
    init_from: str | None = None,
    init_from_place: str | None = None,
    features: FeatureKind = "built-in",
    reading: Reading | None = None,
) -> RunConfig:
    """Combine a recipe with its data and the machine, and return the configuration of a run.

    Raises:
        DeviceError: the device is not available.
        RecipeError: the recipe does not fit the data, the number of processes, or `on_collapse`; or the name of the
            data or of the recipe is not UTF-8.
    """
    resolved_device = check_machine(recipe, device=device, processes=processes, on_collapse=on_collapse)
    check_batch_size(recipe, dataset, n=len(dataset.images), processes=processes)
    recipe = recipe.for_data(
        Facts(
            side=dataset.shape.height,
            images=len(dataset.images),
            classes=0 if dataset.labels is None else dataset.classes,
            clusters=recipe.clusters,
            batch_size=recipe.batch_size,
        )
    )
    data_path = None if data in EMBEDDED else str(Path(data).absolute())
    reading = reading or Reading()
    labels_path = None if reading.labels is None else str(reading.labels.absolute())
    for text in (data_path or data, recipe_name, labels_path, *overrides, init_from, init_from_place):
        check_utf8(text or "")
    if recipe.conditional:
        _check_classes(recipe, dataset)
        _check_held_out(recipe, dataset)
    if recipe.clusters:
        check_clusters(dataset, recipe.clusters)
    if recipe.precision == "auto":
        recipe = recipe.model_copy(
            update={"precision": "bfloat16" if is_bfloat16_quick(resolved_device) else "float32"}
        )
    return RunConfig(
        recipe_name=recipe_name,
        overrides=overrides,
        recipe=recipe,
        data=data,
        data_path=data_path,
        dataset=dataset.name,
        data_sha256=dataset.fingerprint(),
        train_images=len(dataset.images),
        held_out_images=len(dataset.held_out),
        data_rule=RULE,
        picture_fit=reading.fit,
        labels_path=labels_path,
        skipped_images=len(dataset.skipped),
        image_shape=dataset.shape,
        classes=dataset.classes if recipe.conditional else 0,
        class_names=dataset.class_names,
        seed=seed,
        minutes=minutes,
        on_collapse=on_collapse,
        features=features,
        device=_device_kind(resolved_device),
        threads=threads or torch.get_num_threads(),
        processes=processes,
        torch_version=torch.__version__,
        git_commit=read_git_commit(),
        init_from=init_from,
        init_from_place=init_from_place,
    )


def check_utf8(text: str) -> None:
    """Check that a text can be written as UTF-8, as `config.json` is and as safetensors takes paths.

    Raises:
        RecipeError: it cannot: it is or holds a file's name whose bytes are not UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RecipeError(
            f"{text!a} is not UTF-8, and the files of a run could not name it: rename the file or folder"
        ) from error


def check_machine(
    recipe: Recipe, *, device: DeviceName, processes: int, on_collapse: Literal["warn", "rollback"]
) -> torch.device:
    """Check all that can be checked before the data are loaded, and return the device.

    Raises:
        DeviceError: the device is not available.
        RecipeError: the recipe does not fit the number of processes, or `on_collapse`.
    """
    recipe.check_processes(processes)
    if on_collapse == "rollback" and not recipe.metrics_every_epochs:
        raise RecipeError(
            "`--on-collapse rollback` returns to the best measured state, but metrics_every_epochs is 0: add "
            "`--set metrics_every_epochs=1`"
        )
    return resolve_device(device)


def check_size(recipe: Recipe, dataset: Dataset, *, processes: int) -> None:
    """Check that all images of a data set are enough for the recipe's `train_images` and `batch_size`, both at once.

    Raises:
        RecipeError: there are too few images.
    """
    wanted, there = recipe.train_images, len(dataset.images)
    if wanted is None or wanted <= there:
        check_batch_size(recipe, dataset, n=wanted or there, processes=processes)
        return
    batch = ""
    if recipe.batch_size > there:
        batch = f" batch_size={_batch_size_for(recipe, dataset, n=there, processes=processes)}"
    raise RecipeError(
        f"train_images is {wanted:,}, but {dataset.name} has {there:,} training images: use `--set train_images=none"
        f"{batch}` for all of them"
    )


def check_batch_size(recipe: Recipe, dataset: Dataset, *, n: int, processes: int) -> None:
    """Check that n training images make at least one batch.

    Raises:
        RecipeError: there are too few images.
    """
    if recipe.batch_size > n:
        size = _batch_size_for(recipe, dataset, n=n, processes=processes)
        raise RecipeError(
            f"batch_size is {recipe.batch_size}, but {_training_images(recipe, dataset, n)}: use `--set "
            f"batch_size={size}`"
        )


def _batch_size_for(recipe: Recipe, dataset: Dataset, *, n: int, processes: int) -> int:
    """Return a batch size for n images: about n/2, and divisible among the processes and into D's groups of images."""
    part = recipe.images_a_group * processes
    size = max(n // 2 // part, 1) * part
    if not 2 <= size <= n:
        raise RecipeError(
            f"{_training_images(recipe, dataset, n)}, fewer than the smallest batch of this recipe, which is {part} "
            f"images ({processes} process(es), and D sees {recipe.images_a_group} images at once): give more images"
        )
    return size


def _training_images(recipe: Recipe, dataset: Dataset, n: int) -> str:
    if recipe.train_images == n and n < len(dataset.images):
        return f"train_images is {n}"
    return f"{dataset.name} has {n} training images"


def _check_classes(recipe: Recipe, dataset: Dataset) -> None:
    if dataset.labels is None:
        raise RecipeError(
            f"a conditional game needs labels of 2 to {MAX_CLASSES} classes, and {dataset.name} has none: put the "
            "images into a folder for each class (a single folder is no class), or write a labels.csv beside them, or "
            "add `labels` to the .npz, or use `--set conditional=false`"
        )
    if not 2 <= dataset.classes <= MAX_CLASSES:
        raise RecipeError(
            f"{dataset.name} has {dataset.classes} {'class' if dataset.classes == 1 else 'classes'}; a conditional "
            f"game needs 2 to {MAX_CLASSES}: use other data, or `--set conditional=false`"
        )
    if dataset.classes >= recipe.z_dim:
        raise RecipeError(
            f"{dataset.name} has {dataset.classes} classes; a conditional game needs fewer than z_dim = "
            f"{recipe.z_dim}, because each class takes a coordinate of the latent: use "
            f"`--set z_dim={dataset.classes + NOISE}`, or `--set conditional=false`"
        )


def _check_held_out(recipe: Recipe, dataset: Dataset) -> None:
    """Check that a conditional game has labelled held-out images, if its augmentation is adapted by them."""
    labels = dataset.held_out_labels
    if recipe.augmentation_target is not None and (labels is None or not bool((labels >= 0).any())):
        raise RecipeError(
            f"augmentation_target is {recipe.augmentation_target}, but {dataset.name} has no held-out image with a "
            "label of a training image, by which a conditional game could adapt its augmentation: give labels for the "
            "test images, or use `--set augmentation_target=none augmentation=0.3` for a constant probability"
        )


def _device_kind(device: torch.device) -> DeviceKind:
    if device.type == "mps":
        return "mps"
    return "cuda" if device.type == "cuda" else "cpu"


def is_bfloat16_quick(device: torch.device) -> bool:
    """Return whether a device computes products of bfloat16 in hardware; False for mps, where this is not known."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "mps":
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
