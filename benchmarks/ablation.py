"""`python -m benchmarks.ablation`: the effect of each setting of the recipe `mlp`, by changing one at a time.

Each row is a new training from seed 0 for the same few epochs, over which the learning rates fall; 10,000 samples are
judged against the test images. Time is processor time of all threads together, which other work on the machine hardly
changes. A few epochs favour settings that learn quickly: read the table as a hint for the first minutes, not the last.
"""

import argparse
import sys

import torch

from benchmarks.trainers.judging import FIGURES, IMAGES_AN_EPOCH, judge, rounded, train_and_judge
from benchmarks.trainers.trainer import make_trainer
from harness.report import describe_machine, table
from training.data.dataset import load_dataset
from training.errors import NotFiniteError

_NO_PENALTY = ("r1_gamma=0", "r2_gamma=0")
_BOTH_RATES = ("generator_optimiser.learning_rate={0}", "discriminator_optimiser.learning_rate={0}")
_DROPOUT = ("architecture.input_keep_probability=0.8", "architecture.hidden_keep_probability=0.5")

CHANGES: dict[str, tuple[str, ...]] = {
    "the recipe": (),
    "no labels": ("conditional=false",),
    "no labels, packs of 2": ("conditional=false", "packing=2"),
    "non-saturating": ("loss=non-saturating",),
    "minimax": ("loss=minimax",),
    "hinge": ("loss=hinge",),
    "least squares": ("loss=least-squares",),
    "WGAN-GP, λ = 10": ("loss=wasserstein", *_NO_PENALTY, "gradient_penalty=10", "penalty_interval=1"),
    "no R1, no R2": _NO_PENALTY,
    "R1 alone": ("r2_gamma=0",),
    "R1 and R2 in every step": ("penalty_interval=1",),
    "γ = 0.1": ("r1_gamma=0.1", "r2_gamma=0.1"),
    "γ = 10": ("r1_gamma=10", "r2_gamma=10"),
    "spectral norm for R1, R2": (*_NO_PENALTY, "spectral_norm=true"),
    "dropout for R1, R2": (*_NO_PENALTY, *_DROPOUT),
    "minibatch-std": ("architecture.group_deviation=true",),
    "augmentation, p = 0.3": ("augmentation=0.3",),
    "no EMA": ("ema_halflife_images=0",),
    "constant learning rates": (
        "generator_optimiser.learning_rate_final=none",
        "discriminator_optimiser.learning_rate_final=none",
    ),
    "learning rates 2e-4": tuple(rate.format("2e-4") for rate in _BOTH_RATES),
    "learning rates 2e-3": tuple(rate.format("2e-3") for rate in _BOTH_RATES),
    "β₁ = 0.5": ("generator_optimiser.beta1=0.5", "discriminator_optimiser.beta1=0.5"),
    "batches of 128": ("batch_size=128",),
    "float32": ("precision=float32",),
}
"""The settings that are changed in the recipe, by the name of the row."""


def main() -> None:
    """Train, judge and print the table; each row is also printed on standard error when it is ready."""
    options = _parser().parse_args()
    if unknown := [name for name in options.changes if name not in CHANGES]:
        sys.exit(f"error: {unknown[0]!r} is not a row; the rows are: {'; '.join(CHANGES)}")
    dataset = load_dataset("mnist")
    rows = []
    for name in options.changes or CHANGES:
        overrides = [f"epochs={options.epochs}", *CHANGES[name]]
        try:
            trainee = make_trainer("mlp", threads=options.threads, overrides=overrides)
            trial = train_and_judge(trainee, options.epochs * IMAGES_AN_EPOCH, dataset, samples=options.samples)
            cells = [f"{trial.cpu_seconds / 60:.1f}", *rounded(trial.figures)]
        except NotFiniteError as error:
            cells = [f"failed: {error}", *[""] * len(FIGURES)]
        rows.append([name, " ".join(CHANGES[name]), *cells])
        print(f"| {' | '.join(rows[-1])} |", file=sys.stderr)
    real = judge(dataset.images[40_000:50_000][: options.samples], dataset)
    print(f"{describe_machine()}; {options.threads} threads, {options.epochs} epochs\n")
    rows.append(["real training images", "", "", *rounded(real)])
    print(table(["change", "--set", "CPU minutes", *FIGURES], rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablation",
        description="Change one setting of the recipe mlp at a time, train, and judge.",
    )
    parser.add_argument("changes", nargs="*", help=f"rows (default: all): {'; '.join(CHANGES)}")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of each training (default: 10)")
    parser.add_argument("--samples", type=int, default=10_000, help="number of samples of each G (default: 10,000)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each training (default: 1)")
    return parser


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
