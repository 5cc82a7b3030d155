"""A limit for JSON from outside, checked before it is validated.

A validator keeps an error for each wrong entry, which takes a gigabyte for a hostile file of a few megabytes.
"""

MAX_ENTRIES = 1000
"""Most names that one object may have; this project's own objects have less than a tenth as many."""


def check_extent(document: object) -> None:
    """Check that no object in a document, at any depth, has too many names.

    Args:
        document: parsed JSON.

    Raises:
        ValueError: one has more than `MAX_ENTRIES`.
    """
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict) and len(value) > MAX_ENTRIES:
            raise ValueError(f"an object has {len(value):,} names; at most {MAX_ENTRIES:,} are allowed")
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left += [one for one in inner if isinstance(one, dict | list)]
