"""Names of files and classes as text for logs, messages and cards."""

from pathlib import Path

MAX_NAMED = 5


def name(path: Path) -> str:
    """Return a path as one printable line of text, for a terminal and a log."""
    return str(path) if str(path).isprintable() else ascii(str(path))


def as_utf8_text(text: str) -> str:
    """Return a text that can be written as UTF-8: each byte of a file's name that is not UTF-8 becomes an escape.

    Python reads such a byte as a lone surrogate, which neither JSON nor a page can hold.
    """
    return text.encode(errors="backslashreplace").decode()


def some(texts: list[str]) -> str:
    """Return the first `MAX_NAMED` texts as a list, and the number of the others."""
    more = f" and {len(texts) - MAX_NAMED:,} more" if len(texts) > MAX_NAMED else ""
    return ", ".join(texts[:MAX_NAMED]) + more
