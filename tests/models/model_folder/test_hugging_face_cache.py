"""A model folder in a cache of the Hugging Face Hub is read; a link that leads anywhere else is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from app.inference.catalog import load_catalog
from models import errors
from models.model_folder.read import load_model, read_metadata, read_picture
from reliability.hostile.model_folders import DAMAGES, REVISION, put_in_cache

IN_CACHE = {kind: damage for kind, damage in DAMAGES.items() if "snapshot" in kind or "blob" in kind}


@pytest.fixture
def models(good: Path) -> Path:
    """A models folder that holds the model folder "tiny"."""
    folder = good.parent / "models"
    folder.mkdir()
    good.rename(folder / "tiny")
    return folder


def test_a_link_to_a_snapshot(models: Path) -> None:
    before = load_model(models / "tiny")
    snapshot = put_in_cache(models / "tiny", models.parent / "models--me--tiny")
    assert (snapshot / "model.safetensors").is_symlink()
    model = load_model(models / "tiny")
    assert (model.name, model.sha256) == ("tiny", before.sha256)
    assert [entry.epoch for entry in model.timeline] == [0, 1, 2]
    assert all(read_picture(models / "tiny", entry).startswith(b"\x89PNG") for entry in model.timeline)
    assert read_metadata(models / "tiny") == before.metadata
    assert load_model(snapshot).name == REVISION


def test_a_snapshot_with_several_model_folders(models: Path) -> None:
    """The repository on the Hub is a models folder: its model folders are folders of the snapshot."""
    snapshot = put_in_cache(models, models.parent / "models--me--gans")
    assert load_model(snapshot / "tiny").name == "tiny"
    for folder in (models, snapshot):
        catalog = load_catalog(folder, default="tiny", device=torch.device("cpu"))
        assert list(catalog.models) == ["tiny"]
        assert not catalog.broken


def test_the_cache_itself_may_be_reached_by_a_link(models: Path) -> None:
    put_in_cache(models / "tiny", models.parent / "disk" / "models--me--tiny")
    (models.parent / "home").symlink_to("disk")
    snapshot = models.parent / "home" / "models--me--tiny" / "snapshots" / REVISION
    assert load_model(snapshot).name == REVISION


@pytest.mark.parametrize(("damage", "message"), IN_CACHE.values(), ids=IN_CACHE)
def test_other_links_are_refused(models: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(models / "tiny")
    with pytest.raises(errors.ModelFolderError) as raised:
        load_model(models / "tiny")
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_picture_of_a_snapshot_is_looked_at_again(models: Path) -> None:
    put_in_cache(models / "tiny", models.parent / "models--me--tiny")
    entry = load_model(models / "tiny").timeline[1]
    secret = models.parent / "secret.png"
    secret.write_bytes(b"secret")
    entry.path.unlink()
    entry.path.symlink_to(secret)
    with pytest.raises(errors.ModelPathError):
        read_picture(models / "tiny", entry)


def test_a_linked_model_has_the_name_of_the_link(models: Path) -> None:
    """A link that breaks later keeps serving the model under the same name."""
    (models / "tiny").rename(models.parent / "release-7")
    (models / "tiny").symlink_to("../release-7")
    before = load_catalog(models, default="tiny", device=torch.device("cpu"))
    assert list(before.models) == ["tiny"]
    (models.parent / "release-7" / "CARD.md").unlink()
    after = load_catalog(models, default="tiny", device=torch.device("cpu"), before=before)
    assert list(after.models) == list(after.broken) == ["tiny"]
