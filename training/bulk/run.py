"""Write all shards of a request. Shards that exist and are whole are kept; the others are written in any order."""

import sys
from pathlib import Path

from tqdm import tqdm

from models.inference.sampler import Sampler
from models.model_folder.loaded_model import LoadedModel
from training.bulk.formats import check_format
from training.bulk.inspection import damaged_shards, foreign_shards
from training.bulk.processes import write_in_processes
from training.bulk.request import BulkRequest, Format, begin_or_go_on, check_bulk, leftovers
from training.bulk.shards import ShardWriter, remove, take_fingerprint
from training.data.text import some
from training.run.lock import only_writer

BUSY = "another process is writing samples into {folder}: wait until it ends, stop it, or choose another --out"


def sample_in_bulk(
    model: LoadedModel,
    folder: Path,
    *,
    seed: int,
    first: int,
    n: int,
    digit: int | None,
    truncation: float,
    format_name: Format,
    shard_images: int,
    processes: int | None = None,
    ray: bool = False,
) -> str:
    """Write the samples that are not in the folder yet, with a progress bar on standard error.

    Args:
        model: the model that draws.
        folder: folder of the shards. It is made if it does not exist.
        seed: seed of the latents, 0 ≤ seed < 2⁵³.
        first: index of the first image.
        n: number of images.
        digit: the class of all images, one of the model's classes; None for any class.
        truncation: the factor ψ in (0, 1], as in `models.latents.draw_latents`.
        format_name: format of the shards.
        shard_images: number of images in each shard but the last.
        processes: number of processes that write at the same time. None: 1, or with Ray one per CPU of the cluster.
        ray: whether a Ray cluster writes the shards. Its machines have the folder and the model at the same paths.

    Returns:
        A text that says what was written.

    Raises:
        LatentError: the seed, the images or the truncation are out of range.
        BulkError: the shards are too large or too many, a package is not installed, the folder belongs to another
            request or holds other files, or a process died.
        RunError: another process is writing into the folder.
        OSError: the disk is full or cannot be written. The shards that exist are complete.
    """
    check_bulk(model, seed=seed, first=first, n=n, truncation=truncation, shard_images=shard_images)
    check_format(format_name)
    request = BulkRequest(
        model=model.reference,
        model_sha256=model.sha256,
        seed=seed,
        first=first,
        n=n,
        digit=digit,
        truncation=truncation,
        format=format_name,
        shard_images=shard_images,
        fingerprint=take_fingerprint(model, Sampler.of_model(model), format_name),
    )
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder, busy=BUSY):
        begin_or_go_on(folder, request)
        _remove_leftovers(folder)
        _inspect(request, folder)
        missing = sum(request.shard(number).count for number in request.missing(folder))
        try:
            _write_missing(model, request, folder, processes=processes, ray=ray, there=n - missing)
        finally:
            _remove_leftovers(folder)
    before = "" if missing == n else f" ({n - missing:,} images were there already)"
    return f"{request.shard_count:,} shard(s) of {format_name} in {folder}{before}"


def _write_missing(
    model: LoadedModel, request: BulkRequest, folder: Path, *, processes: int | None, ray: bool, there: int
) -> None:
    if ray:
        from training.bulk.ray_data import write_with_ray  # noqa: PLC0415  (an extra, which takes seconds to import)

        counts = write_with_ray(model, request, folder, processes)
    elif (processes or 1) > 1:
        counts = write_in_processes(model, request, folder, processes or 1)
    else:
        writer = ShardWriter(model, request, folder)
        counts = (writer.write(number) for number in request.missing(folder))
    bar = tqdm(
        total=request.n,
        initial=there,
        unit="img",
        unit_scale=True,
        dynamic_ncols=True,
        disable=None,  # no bar where standard error is not a terminal
    )
    with bar:
        for count in counts:
            bar.update(count)


def _inspect(request: BulkRequest, folder: Path) -> None:
    """Remove the shards that are empty or cut, so that they are written again, and name those of other requests."""
    damaged = list(damaged_shards(request, folder))  # all are looked at before one is removed
    for path in damaged:
        remove(path)
    if damaged:
        names = some([path.name for path in damaged])
        print(f"note: {len(damaged):,} shard(s) were empty or cut, and are written again: {names}", file=sys.stderr)
    if foreign := foreign_shards(request, folder):
        print(
            f"note: {len(foreign):,} shard(s) in {folder} are not of this request: {some(foreign)}. Move them "
            "elsewhere, so that nothing reads them as its images",
            file=sys.stderr,
        )


def _remove_leftovers(folder: Path) -> None:
    for path in list(leftovers(folder)):
        remove(path)
