"""A limit on untrusted JSON, checked before validation.

A validator keeps an error for each wrong entry, so a hostile file of a few megabytes would take a gigabyte of memory.
"""

MAX_ENTRIES = 1000
"""The most names that one object may have. This project's own objects have less than a tenth of it."""


def check_extent(document: object) -> None:
    """Check that no object in a document, at any depth, has too many names.

    Args:
        document: the parsed JSON.

    Raises:
        ValueError: an object has more than `MAX_ENTRIES` names.
    """
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict) and len(value) > MAX_ENTRIES:
            raise ValueError(f"an object has {len(value):,} names; at most {MAX_ENTRIES:,} are allowed")
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left += [one for one in inner if isinstance(one, dict | list)]
