"""Judge again: fine-tune the D of an exported model, and write a new model folder with it. G stays bit for bit.

On request, G is quantised too (`training.export.quantising`), or gets a tone curve, which changes the grey levels of
its images (`training.export.tone_matching`).

The run of the model is not needed: the earlier samples of G, which are among the fakes, are the pictures of the model's
timeline. D may have been fine-tuned before; it then continues from there.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from models.images import channels_first
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.model_folder.format import FEATURES_FILE
from models.model_folder.loaded_model import LoadedModel
from models.model_folder.metadata import Metadata, format_version_for
from models.model_folder.read import read_picture
from models.model_folder.write import write_model
from models.tone_curve import ToneCurve
from training.commands import command
from training.data.dataset import Dataset
from training.errors import RunError
from training.evaluation.evaluate import SAMPLES, Evaluation, evaluate
from training.evaluation.learned.choice import kind_of
from training.evaluation.learned.network import LearnedFeatures
from training.evaluation.learned.obtain import obtain_features
from training.export.card import describe_figures, describe_judge
from training.export.discriminator_finetuning import JudgePlan, train_judge
from training.export.quantising import in_whole_numbers
from training.export.tone_matching import find_tone_curve, with_tone_curve
from training.provenance import describe_machine, read_git_commit
from training.run.fixed_grid import draw_final_grid, split_fixed_grid

_ABOUT_D = """\
## The training of D alone

G and the encoder are those of `{model}`, bit for bit.
So are the history and the timeline. D began as the D of this model, and was then trained alone by this command:

    {command}

| | |
|---|---|
| steps | {steps:,} |
| varied digits among the real images | {variations:.0%} |
| earlier images of G | the pictures of the timeline, of epochs {first} to {last} |
| trained on | {machine}, {threads} thread(s), {arithmetic}, torch {torch_version} |
| code | commit {git_commit} |"""

_ABOUT_THE_TONE_CURVE = """\
## The tone curve

The weights of G are those of `{model}`, bit for bit.
The following command found a tone curve, with which G's images have the grey levels of the training images. It also
balanced D for these images:

    {command}

Code: commit {git_commit}."""

_ABOUT_THE_QUANTISED_G = """\
## G in whole numbers

G is that of `{model}`, with weights and activations rounded to 8 bits by this command:

    {command}

Code: commit {git_commit}."""

_OLD_SCOPE = re.compile(
    r"^- (?:After the training of G and D, D was|D learned to tell real images from).*?(?=^- |^## |\Z)",
    re.MULTILINE | re.DOTALL,
)


def read_earlier_samples(model: LoadedModel) -> dict[int, torch.Tensor]:
    """Read G's images from the pictures of a model's timeline, by epoch: each [64, C, H, W] uint8.

    Raises:
        RunError: the timeline is empty, or a picture is not one that `export` wrote.
        ModelFolderError: a picture has changed since the model folder was read.
    """
    samples = {}
    for entry in model.timeline:
        try:
            images = split_fixed_grid(read_picture(model.path, entry), side=model.metadata.image_shape.height)
        except ValueError as error:
            raise RunError(
                f"{entry.path} is not a grid of G's images: {error}; D needs the pictures that `export` wrote"
            ) from error
        samples[entry.epoch] = channels_first(images)
    if not samples:
        raise RunError(
            f"the timeline of {model.name} is empty, but D needs its pictures as earlier images of G: export the model "
            "again"
        )
    return samples


def judge(
    model: LoadedModel,
    dataset: Dataset,
    to: Path,
    plan: JudgePlan,
    *,
    earlier: Mapping[int, torch.Tensor],
    data: str,
    seed: int,
    train_images: int | None = None,
    quantise: bool = False,
    tone_curve: bool = False,
    samples: int = SAMPLES,
    say: Callable[[str], None] = print,
) -> None:
    """Fine-tune a copy of a model's D, evaluate the pair anew, and write the model folder `to`.

    The weights in the file are float16 if those of G and the encoder are exact in float16, and float32 otherwise.

    Args:
        model: the model; it does not change.
        dataset: all data that the model was trained on. Its held-out images calibrate D's score.
        to: the model folder to write; its name becomes the model's name.
        plan: the settings of the fine-tuning.
        earlier: G's images by epoch, from `read_earlier_samples`.
        data: the place of the data, for the commands in the card.
        seed: seed of the batches and of all other random numbers.
        train_images: the number of training images that the model was trained on; None: all.
        quantise: whether G gets weights and activations of 8 bits.
        tone_curve: whether G gets a new tone curve; otherwise it keeps the one that it has, or none.
        samples: number of G's images to evaluate.
        say: function that receives a line as each stage begins, and after each tenth of the fine-tuning.

    Raises:
        DataError: the file of the network for features is damaged.
        NotFiniteError: a loss is NaN or infinite.
        ModelNameError: the name of the folder `to` cannot be the name of a model.
        ModelDestinationError: `to` exists and is not a model folder, so it is not replaced.
        OSError: the disk is full or cannot be written.
    """
    git_commit = read_git_commit()  # of the code that trains D; the files may change meanwhile
    timeline = {entry.epoch: read_picture(model.path, entry) for entry in model.timeline}
    dtype = torch.float16 if _fits_float16(model.generator, model.encoder) else torch.float32
    trained_on, generator, old = dataset.first(train_images), model.generator, model.metadata
    extractor = obtain_features(kind_of(old.evaluation), trained_on, file=model.path / FEATURES_FILE, say=say)
    if quantise:
        say("quantising G")
        generator = in_whole_numbers(generator, z_dim=old.z_dim, prior=old.prior).to(dtype).float()
    sampler = Sampler(generator, z_dim=old.z_dim, image_shape=old.image_shape, tone_curve=model.tone_curve)
    if tone_curve:
        say("finding G's tone curve")
        sampler.tone_curve = None
        sampler.tone_curve = find_tone_curve(sampler, trained_on.images, prior=old.prior)
    if quantise or tone_curve:
        timeline[max(timeline)] = draw_final_grid(sampler, old.prior)
    say(f"fine-tuning D, {plan.steps:,} steps" if plan.steps else "balancing D")
    discriminator = train_judge(
        model.discriminator,
        with_tone_curve(generator, sampler.tone_curve),
        trained_on,
        plan,
        samples=earlier,
        seed=seed,
        say=say,
    )
    discriminator.to(dtype).float()
    say(f"evaluating G and D: {samples:,} samples, {len(dataset.held_out):,} held-out images")
    evaluation = evaluate(
        sampler,
        Scorer(discriminator, image_shape=old.image_shape),
        dataset,
        prior=old.prior,
        samples=samples,
        train_images=train_images,
        extractor=extractor,
    )
    about = {
        "model": model.reference,
        "command": _command(
            model,
            dataset,
            to,
            plan,
            data=data,
            seed=seed,
            train_images=train_images,
            quantise=quantise,
            tone_curve=tone_curve,
        ),
        "git_commit": git_commit,
    }
    sections = [_describe_training(plan, earlier, about)] if plan.steps else []
    sections += [_ABOUT_THE_QUANTISED_G.format(**about)] if quantise else []
    sections += [_ABOUT_THE_TONE_CURVE.format(**about)] if tone_curve else []
    metadata = _describe(
        old, evaluation, sampler.tone_curve, trained=plan.steps > 0, quantised=quantise or old.quantised
    )
    figures = describe_figures(
        to.name,
        metadata,
        data=data,
        train_images=train_images,
        held_out_images=len(dataset.held_out),
    )
    write_model(
        to,
        metadata=metadata,
        generator=generator,
        discriminator=discriminator,
        encoder=model.encoder,
        features=extractor.to_bytes() if isinstance(extractor, LearnedFeatures) else None,
        history=model.history,
        timeline=timeline,
        card=rewrite_card(
            model.card,
            name=to.name,
            sections=[*sections, figures],
            scope=describe_judge(plan.steps, plan.variations) if plan.steps else None,
        ),
        dtype=dtype,
    )


def rewrite_card(card: str, *, name: str, sections: Sequence[str], scope: str | None) -> str:
    """Return a model's card with its new name, figures and D; all else stays as it is.

    Args:
        card: the old card, in Markdown. A card that `export` did not write gets the new sections at its end.
        name: the model's name, for the title.
        sections: the new sections; each replaces the section of the same title.
        scope: the new point about D in the section "Limits"; None: the old one stays.
    """
    card = re.sub(r"\A# .*", lambda _: f"# {name}", card)
    if scope is not None:
        card = _OLD_SCOPE.sub(lambda _: f"{scope}\n", card)
    titles = {text.partition("\n")[0] for text in sections}
    old = re.split(r"^(?=## )", card, flags=re.MULTILINE)
    kept = [text.rstrip("\n") for text in old if text.partition("\n")[0] not in titles]
    place = next((i for i, text in enumerate(kept) if text.startswith("## Limits")), len(kept))
    return "\n\n".join([*kept[:place], *sections, *kept[place:]]) + "\n"


def _describe_training(plan: JudgePlan, earlier: Mapping[int, torch.Tensor], about: Mapping[str, str]) -> str:
    return _ABOUT_D.format(
        **about,
        steps=plan.steps,
        variations=plan.variations,
        first=min(earlier),
        last=max(epoch for epoch in earlier if epoch <= max(earlier) / 2),
        machine=describe_machine(),
        threads=torch.get_num_threads(),
        arithmetic="bfloat16" if plan.bfloat16 else "float32",
        torch_version=torch.__version__,
    )


def _command(
    model: LoadedModel,
    dataset: Dataset,
    to: Path,
    plan: JudgePlan,
    *,
    data: str,
    seed: int,
    train_images: int | None,
    quantise: bool,
    tone_curve: bool,
) -> str:
    numbers = {"--steps": plan.steps, "--seed": seed, "--threads": torch.get_num_threads()}
    options = ["--data", data, *(text for option, n in numbers.items() for text in (option, str(n)))]
    options += ["--variations", f"{plan.variations:g}"] if dataset.digits == 1 else []
    options += ["--train-images", str(train_images)] if train_images else []
    options += ["--quantise"] if quantise else []
    options += ["--tone-curve"] if tone_curve else []
    return command("judge", model.name, "--to", to.name, *options)


def _describe(
    metadata: Metadata, evaluation: Evaluation, tone_curve: ToneCurve | None, *, trained: bool, quantised: bool
) -> Metadata:
    """Return a model's metadata with the new calibration, figures, tone curve and kind of weights."""
    levels = None if tone_curve is None else tone_curve.levels
    oldest = format_version_for(
        evaluation.calibration,
        metadata.data_sha256,
        metadata.rules,
        levels,
        metadata.class_names,
        metadata.init_from,
    )
    changed = {
        "format_version": max(3, oldest),  # version 3 is the first that can say that D is a judge
        "quantised": quantised,
        "tone_curve": levels,
        "calibration": evaluation.calibration,
        "evaluation": evaluation.figures,
        "judge": True if trained else metadata.judge,  # a D that was only balanced is the same D
    }
    return metadata.model_copy(update=changed)


def _fits_float16(*networks: nn.Module | None) -> bool:
    """Whether float16 holds all weights of the networks exactly, as it does if the model was exported with --half."""
    weights = [tensor for network in networks if network is not None for tensor in network.state_dict().values()]
    return all(torch.equal(tensor.half().to(tensor.dtype), tensor) for tensor in weights if tensor.is_floating_point())
