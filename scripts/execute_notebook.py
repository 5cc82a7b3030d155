"""`python -m scripts.execute_notebook`: execute docs/writeup.ipynb in a new kernel, and write its outputs into it.

The file then has no times, no paths and no version of Python in it, so another machine changes little of it.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "writeup.ipynb"
TIMEOUT_S = 600
"""The most seconds for one cell; the longest takes about 25 s of one core."""


def execute(path: Path = NOTEBOOK) -> NotebookNode:
    """Execute a notebook from its first cell on, in a new kernel, and return it with its outputs.

    Args:
        path: the notebook; it is not changed.

    Raises:
        CellExecutionError: a cell raised an error; the message has the cell and the traceback.
    """
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_S,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    # The kernel starts in the notebook's folder, so it would not find the packages of this checkout by itself.
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    client.execute(env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, transport_encryption="auto")
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def main() -> int:
    """Execute the notebook in place; returns the exit code: 0, or 1 when a cell failed."""
    try:
        notebook = execute()
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    nbformat.write(notebook, NOTEBOOK)  # type: ignore[no-untyped-call]
    print(f"{NOTEBOOK.relative_to(ROOT)} is executed: {NOTEBOOK.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
