"""`python -m app`, or `gan-serve`: run the service, or report in one line which of its packages is not installed."""

import signal
import sys


def main() -> int:
    """Run `app.command_line`, and return its exit code; 2 if a package that it needs is not installed."""
    if hasattr(signal, "SIGHUP"):  # it means a reload (`app.api.reload`), and must not end a service that still starts
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # before the imports below, which take seconds
    try:
        from app.command_line import main as run  # noqa: PLC0415  (a missing package is reported here)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in {"", "app", "models", "viewer"}:
            raise
        print(
            f"error: the service needs {package}, which {sys.executable} does not have: `make serve` installs it, or "
            "`pip install 'gan-service[app]'` for an installed package",
            file=sys.stderr,
        )
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
