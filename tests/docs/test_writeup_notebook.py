"""docs/writeup.ipynb: it runs from a new kernel, and its text says what its cells print."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from harness.repository import ROOT
from scripts.execute_notebook import NOTEBOOK, execute
from scripts.markdown_links import links_of, resolved
from training.data.mnist import read_mnist
from training.recipe import load_recipe

MAX_BYTES = 400_000
NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?")
BOLD = re.compile(rf"\*\*({NUMBER.pattern})\*\*")


@pytest.fixture(scope="module")
def notebook() -> NotebookNode:
    """The notebook as it is committed."""
    read: NotebookNode = nbformat.read(NOTEBOOK, as_version=4)
    return read


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: NotebookNode) -> str:
    """What a cell has printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def value_of(number: str) -> float:
    return float(number.replace("−", "-").replace(",", ""))


def claims(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """Each number in bold, with what is printed by the first cell of code below it."""
    for at, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            below = next((later for later in notebook.cells[at:] if later.cell_type == "code"), None)
            for number in BOLD.findall(cell.source):
                assert below is not None, number
                yield number, printed(below)


# --- As it is committed -------------------------------------------------------------------------------


def test_it_has_the_ten_points_and_every_output(notebook: NotebookNode) -> None:
    nbformat.validate(notebook)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert re.findall(r"^## (\d+)\. ", text, re.MULTILINE) == [str(point) for point in range(1, 11)]
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert [cell.id for cell in cells[1:] if not printed(cell)] == []
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} == {"stream", "display_data"}
    assert {output.name for output in outputs if output.output_type == "stream"} == {"stdout"}  # no warning
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 7


def test_it_is_small_and_says_nothing_of_a_machine(notebook: NotebookNode) -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text.encode()) < MAX_BYTES
    for place in (str(ROOT), str(Path.home()), "/tmp/", "/home/", "/root/", "site-packages"):  # noqa: S108
        assert place not in text, place
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert [cell.id for cell in notebook.cells if cell.metadata] == []


def test_its_code_compiles_and_what_it_imports_exists(notebook: NotebookNode) -> None:
    for cell in code_cells(notebook):
        compile(cell.source, cell.id, "exec")
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                for name in node.names:
                    import_module(name.name)
            elif isinstance(node, ast.ImportFrom):
                assert node.module is not None
                module = import_module(node.module)
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []


def test_its_links_lead_somewhere(notebook: NotebookNode) -> None:
    links = [link for cell in notebook.cells if cell.cell_type == "markdown" for link in links_of(cell.source)]
    inside = [link for link in links if link.is_internal]
    assert len(inside) >= 5
    assert [link.target for link in inside if not resolved(link, NOTEBOOK).exists()] == []


def test_the_text_says_what_the_cells_print(notebook: NotebookNode) -> None:
    found = list(claims(notebook))
    assert len(found) >= 20
    wrong = [number for number, below in found if value_of(number) not in map(value_of, NUMBER.findall(below))]
    assert wrong == []


def test_the_numbers_of_the_whole_training(notebook: NotebookNode) -> None:
    recipe = load_recipe("writeup")
    steps = len(read_mnist()[0]) // recipe.batch_size
    text = "\n".join(cell.source for cell in notebook.cells)
    assert f"{recipe.epochs} epochs of {steps} steps, {recipe.epochs * steps:,}" in text
    (row,) = re.findall(r"^\| \[`writeup`\].*\| (\d+) s \|$", (ROOT / "docs" / "training.md").read_text(), re.MULTILINE)
    assert f"about {row} s an epoch" in text
    assert 1.5 < recipe.epochs * int(row) / 3600 < 2  # "nearly two hours"


# --- Executed anew ------------------------------------------------------------------------------------


def near(committed: str, new: str) -> bool:
    """Whether a number is that of another machine; a training magnifies the rounding of its sums."""
    a, b = value_of(committed), value_of(new)
    return abs(a - b) <= (0.02 + 0.1 * abs(a) if "." in committed else 1)


@pytest.mark.slow
def test_a_new_kernel_executes_it_and_prints_nearly_the_same(
    notebook: NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines may be added: those of `mnist-writeup`, if this model is there now."""
    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    new = execute()
    for old_cell, new_cell in zip(code_cells(notebook), code_cells(new), strict=True):
        lines = printed(new_cell).splitlines()
        for line in printed(old_cell).splitlines():
            alike = [other for other in lines if NUMBER.sub("", other) == NUMBER.sub("", line)]
            assert any(all(map(near, NUMBER.findall(line), NUMBER.findall(other))) for other in alike), (
                f"{old_cell.id}: {line!r} is no longer printed, but {lines}; `make notebook` writes the outputs anew"
            )
        pictures = [sum("image/png" in o.get("data", {}) for o in cell.outputs) for cell in (old_cell, new_cell)]
        assert pictures[0] <= pictures[1], old_cell.id


def test_a_cell_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient.exceptions import CellExecutionError

    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    broken = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("import training\nraise ValueError('of a cell')")]
    )
    nbformat.write(broken, tmp_path / "broken.ipynb")
    with pytest.raises(CellExecutionError, match="of a cell"):
        execute(tmp_path / "broken.ipynb")
