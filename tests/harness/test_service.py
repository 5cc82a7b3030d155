"""A service that does not start as it should is told, with its log."""

from pathlib import Path

import pytest

from harness.service import running
from harness.tiny_models import make_tiny_model_folder


def test_a_service_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match=r"no address; its log says: (.|\n)*GAN_WORKERS"),
        running(tmp_path, workers=0),
    ):
        pass


def test_a_sitecustomize_that_fails_is_told(tmp_path: Path) -> None:
    make_tiny_model_folder(tmp_path / "models" / "mnist-conv")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "sitecustomize.py").write_text("from models import no_such_module")
    with (
        pytest.raises(RuntimeError, match=r"without the changes of `python_path`(.|\n)*no_such_module"),
        running(tmp_path, models_dir=tmp_path / "models", python_path=tmp_path / "code"),
    ):
        pass
