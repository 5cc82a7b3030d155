"""JSON bodies that would take far more memory or time than their size."""

from collections.abc import Callable

MB = 1_000_000


def latents(value: str, *, rows: int, columns: int) -> bytes:
    """Return a body with `rows` × `columns` latents that all have the same value."""
    row = f"[{','.join([value] * columns)}]"
    return f'{{"latents":[{",".join([row] * rows)}]}}'.encode()


def repeated(value: str, times: int) -> bytes:
    """Return a body with a list that has the same value `times` times."""
    return f'{{"x":[{",".join([value] * times)}]}}'.encode()


def names(number: int) -> bytes:
    """Return a body with `number` parameters."""
    return f"{{{','.join([f'{chr(34)}{k:x}{chr(34)}:0' for k in range(number)])}}}".encode()


BODIES: dict[str, Callable[[], bytes]] = {
    "30 MB of null": lambda: latents("null", rows=1500, columns=4096),
    "15 MB of null": lambda: latents("null", rows=750, columns=4096),
    "800,000 null": lambda: latents("null", rows=200, columns=4096),
    "7.8 million whole numbers": lambda: latents("1", rows=1900, columns=4096),
    "800,000 fractions": lambda: latents("1.5", rows=200, columns=4096),
    "5 million lists": lambda: repeated("[]", 5 * MB),
    "5 million objects": lambda: repeated("{}", 5 * MB),
    "3 million texts": lambda: repeated('"ab"', 3 * MB),
    "a million names": lambda: names(MB),
    "8,192 deep": lambda: b"[" * 8192,
    "a text of 15 MB": lambda: b'{"model":"' + b"x" * 15 * MB + b'"}',
    "a number of 15 MB": lambda: b'{"n":' + b"9" * 15 * MB + b"}",
}
"""The function that makes each body, by the name of the body."""
