"""The sessions with `>>>` in README and docs give what they show. (`test_service_commands.py` runs the programs.)"""

import doctest
from pathlib import Path

import pytest

from tests.docs.documents import ROOT, blocks_of, documents, examples

SESSIONS = sorted({block.document for block in examples() if block.language == "pycon"})


@pytest.mark.parametrize("document", SESSIONS)
def test_sessions(document: str) -> None:
    """All sessions of a document, one after the other."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = [block for block in blocks_of(document, text) if block.language == "pycon"]
    code = "\n\n".join("\n".join(block.lines) for block in found)
    session = doctest.DocTestParser().get_doctest(code, {}, document, document, found[0].line)
    assert session.examples
    result = doctest.DocTestRunner().run(session)
    assert result.failed == 0


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.stem)
def test_no_session_is_outside_of_a_block_that_is_run(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    sessions = [block for block in blocks_of("", text) if block.language == "pycon"]
    run = sum(line.startswith(">>> ") for block in sessions for line in block.lines)
    assert run == sum(line.lstrip().startswith(">>> ") for line in text.splitlines())
