"""Checks what the service needs before it starts: a sufficient limit on open files, and a temporary folder."""

import tempfile

MIN_OPEN_FILES = 256
"""The fewest files that the process must be able to open: the listening sockets are 128 of them."""


class MachineError(Exception):
    """The machine lacks something that the service needs, such as a high enough limit on open files."""


def check_machine() -> None:
    """Check that the process may open enough files, and that uploads can be kept in a temporary folder.

    Raises:
        MachineError: says what is missing and what to do.
    """
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise MachineError(
            "no temporary folder can be written, and large uploads are kept in one; set TMPDIR to a folder that can be "
            f"written ({error.strerror})"
        ) from error
    try:
        import resource  # noqa: PLC0415  (Unix only)
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= MIN_OPEN_FILES:
        return
    if hard != resource.RLIM_INFINITY and hard < MIN_OPEN_FILES:
        raise MachineError(
            f"this process may open {hard} files, and the service needs {MIN_OPEN_FILES}; raise the limit, for example "
            "by `ulimit -n 1024`"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (MIN_OPEN_FILES, hard))
