"""Temporary checkouts, of a repository of the test's own."""

import subprocess
from pathlib import Path

import pytest

from harness import repository
from harness.repository import UnknownRevisionError, checked_out


@pytest.fixture
def own_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits: of the text "old", and of "new"."""
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    for text in ("old", "new"):
        (tmp_path / "file").write_text(text)
        subprocess.run([*git, "add", "file"], check=True)
        subprocess.run([*git, "commit", "--quiet", "--message", text], check=True)
    return tmp_path


def test_a_revision_is_checked_out_for_a_while(own_repository: Path) -> None:
    with checked_out("HEAD~1") as tree:
        assert (tree / "file").read_text() == "old"
    assert not tree.exists()
    assert (own_repository / "file").read_text() == "new"
    listed = subprocess.run(
        ["git", "-C", own_repository, "worktree", "list"], capture_output=True, text=True, check=True
    ).stdout
    assert len(listed.splitlines()) == 1


def test_an_unknown_revision_is_an_error_that_names_it(own_repository: Path) -> None:
    with pytest.raises(UnknownRevisionError, match="no-such-revision"), checked_out("no-such-revision"):
        pass
