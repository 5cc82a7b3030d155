"""The options that the commands which measure services share."""

import argparse
from pathlib import Path

from models import bundled_models_dir


def add_model_options(parser: argparse.ArgumentParser, *, rounds: int = 3) -> None:
    """Add --rounds, --models-dir and --model."""
    parser.add_argument("--rounds", type=int, default=rounds, help=f"default: {rounds}")
    parser.add_argument("--models-dir", type=Path, default=bundled_models_dir(), help="default: the bundled models")
    parser.add_argument("--model", default="mnist-conv", help="default: mnist-conv, the service's own default")


def add_load_options(parser: argparse.ArgumentParser, *, seconds: int, rounds: int = 3) -> None:
    """Add the options of `add_model_options`, --seconds and --connections: for services under load."""
    add_model_options(parser, rounds=rounds)
    parser.add_argument(
        "--seconds", type=int, default=seconds, help=f"seconds of each measurement (default: {seconds})"
    )
    parser.add_argument("--connections", type=int, default=16, help="clients at once (default: 16)")
