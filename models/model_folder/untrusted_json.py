"""JSON of a hostile size: a validator keeps an error for each wrong entry, a gigabyte for a file of a few megabytes."""

MAX_ENTRIES = 1000
"""Names in one object; none of ours has a tenth as many."""


def check_extent(document: object) -> None:
    """Refuse objects of too many names, wherever they are.

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
