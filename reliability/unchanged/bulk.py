"""The part "bulk": pictures and shards that `training sample` writes, and the figures of `training evaluate`."""

from reliability.unchanged.comparison import Outcome
from reliability.unchanged.files import folder_outcome, without_times
from reliability.unchanged.trees import Tree

MODELS = ("mnist-conv", "mnist-mlp", "mnist-goodfellow2014-labels")
FORMATS = ("npz", "png", "parquet", "webdataset")
EVALUATED = "mnist-mlp"


def collect(tree: Tree, _before: Tree) -> dict[str, Outcome]:
    """Run the code of a tree, and return what it draws and measures."""
    return {
        **{form: _shards(tree, form) for form in FORMATS},
        "grids": _grids(tree),
        "evaluate": _evaluation(tree),
    }


def _shards(tree: Tree, form: str) -> Outcome:
    """Write a thousand images in shards by one process, then fewer images of one digit by two processes."""
    sample = ("-m", "training", "sample", "mnist-conv", "--format", form, "--shard-images", "300")
    said = tree.succeed(*sample, "--n", "1000", "--seed", "5", "--out", form)
    digits = ("--n", "700", "--first", "50", "--digit", "3", "--truncation", "0.8", "--processes", "2")
    said += tree.succeed(*sample, *digits, "--out", f"{form}-3")
    folders = folder_outcome(tree.scratch / form, form) | folder_outcome(
        tree.scratch / f"{form}-3", f"{form} of a digit"
    )
    return {"said": said, **folders}


def _grids(tree: Tree) -> Outcome:
    found = {}
    for model in MODELS:
        said = tree.succeed("-m", "training", "sample", model, "--n", "100", "--seed", "7", "-o", f"{model}.png")
        found[model] = said + (tree.scratch / f"{model}.png").read_bytes()
    return found


def _evaluation(tree: Tree) -> Outcome:
    figures = tree.succeed("-m", "training", "evaluate", EVALUATED, "--json", "--html", "report.html")
    page = (tree.scratch / "report.html").read_bytes()
    return {"figures": without_times("figures.json", figures), "page": without_times("report.html", page)}
