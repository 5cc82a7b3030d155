"""The check of a file that a command will write: it never replaces a file of another kind, such as a model's card."""

from dataclasses import dataclass
from pathlib import Path

from models.files import check_file_destination
from models.model_folder.onnx_files import ONNX_START
from training.errors import RunError, UsageError


@dataclass(frozen=True)
class FileKind:
    """A kind of file that a command writes.

    Attributes:
        name: how an error message calls it, with its article.
        suffixes: the suffixes that its name may have, in lower case; a name without a suffix is always allowed.
        start: the bytes with which each such file begins, in lower case: only a file that begins so is replaced. None
            if no file is replaced.
    """

    name: str
    suffixes: tuple[str, ...]
    start: bytes | None


PNG = FileKind("a PNG", (".png",), b"\x89png\r\n\x1a\n")
HTML_PAGE = FileKind("an HTML page", (".html", ".htm"), b"<!doctype html")
ONNX = FileKind("an ONNX file of `training onnx`", (".onnx",), ONNX_START.lower())
CLASSIFIER = FileKind("a classifier", (".safetensors",), None)


def check_output_file(option: str, path: Path, kind: FileKind) -> None:
    """Check that the file that an option names can be written, before the work whose result it will hold begins.

    Args:
        option: the name of the option, for error messages.
        path: the file. An empty one is replaced, whatever its kind.
        kind: what the command will write there.

    Raises:
        UsageError: the name has the suffix of another kind.
        RunError: the file cannot be written, or a file is there that is not replaced.
    """
    if str(path) == "-":
        raise RunError(f"{option} -: standard output is not supported; name a file")
    try:
        check_file_destination(path)
        start = _start(path, 16)
    except OSError as error:
        raise RunError(f"{option} {path}: {error.strerror}") from error
    if path.suffix.lower() not in {"", *kind.suffixes}:
        better = path.with_suffix(kind.suffixes[0])
        raise UsageError(f"{option} {path}: {kind.name} is written there; name it {better}")
    if start and not (kind.start and start.lower().startswith(kind.start)):
        what = f"a file that is not {kind.name}" if kind.start else "a file"
        raise RunError(f"{option} {path}: {what} is there, and is not replaced; name another path")


def _start(path: Path, size: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(size)
