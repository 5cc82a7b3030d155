"""What pydantic found wrong in a document, as text for a message: every mistake with its place, and nothing else."""

from pydantic import ValidationError


def describe_mistakes(error: ValidationError, *, whole: str, most: int = 5) -> str:
    """Return the mistakes as one line.

    Args:
        error: the error.
        whole: name of the document, which is the place of a mistake that belongs to no single field.
        most: the most mistakes that are named; the others are only counted.
    """
    mistakes = error.errors(include_url=False, include_context=False)
    texts = [f"{'.'.join(map(str, each['loc'])) or whole}: {plain(each['msg'])}" for each in mistakes[:most]]
    more = f"; and {len(mistakes) - most:,} more" if len(mistakes) > most else ""
    return "; ".join(texts) + more


def plain(message: str) -> str:
    """Return pydantic's message without the prefix that it gives to the messages of this program's own checks."""
    return message.removeprefix("Value error, ")
