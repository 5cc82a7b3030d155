"""`training onnx MODEL --to FILE`: write G and D of a model as ONNX files."""

import argparse
from functools import partial
from pathlib import Path

from training.cli.arguments import Commands, add_model, path
from training.cli.inputs import load_named_model
from training.cli.output_file import ONNX, check_output_file
from training.errors import UsageError


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "onnx",
        help="write G and D as ONNX files",
        description="Write G and D of a model as two ONNX files, which run without this program. Before they are "
        "written, ONNX Runtime computes 2,048 images and logits with them, which must be those of the model.",
    )
    parser.set_defaults(run_command=run)
    add_model(parser)
    parser.add_argument(
        "--to",
        metavar="FILE",
        type=path,
        required=True,
        help="the ONNX file to write G to, NAME.onnx (required); D is written beside it, to NAME-d.onnx. Only files "
        "that this command wrote are replaced",
    )
    parser.add_argument(
        "--images",
        choices=("uint8", "float"),
        default="uint8",
        help="uint8: G's images are grey levels 0 to 255, the pixels of the model's images; float: they are G's own "
        "values in [-1, 1], without rounding and tone curve (default: uint8)",
    )


def run(options: argparse.Namespace) -> None:
    """Write both files, after ONNX Runtime has computed with them what the model folder does."""
    from training.onnx_export.write import write_onnx

    to = _checked_paths(options.to)
    model = load_named_model(options.model)
    print(f"converting G and D of {model.reference}: this takes seconds, longer on a busy machine", flush=True)
    write_onnx(model, to, images=options.images, say=partial(print, flush=True))
    print(f"wrote {model.reference} to {to[0]} (G) and {to[1]} (D)")


def _checked_paths(to: Path) -> tuple[Path, Path]:
    """Return the paths of G's file and of D's, to which both may be written.

    Raises:
        UsageError: the name does not end in .onnx.
        RunError: a file cannot be written, or a file is there that is not replaced.
    """
    check_output_file("--to", to, ONNX)
    if not to.suffix:
        raise UsageError(f"--to {to}: {ONNX.name} is written there; name it {to.with_suffix(ONNX.suffixes[0])}")
    beside = to.with_name(f"{to.stem}-d{to.suffix}")
    check_output_file("--to", beside, ONNX)
    return to, beside
