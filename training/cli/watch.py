"""`training watch RUN`: show the progress of a run in the browser."""

import argparse
import errno

from training.cli.arguments import Commands, add_run, host, port
from training.errors import RunError


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "watch",
        help="show a run in the browser",
        description="Serve a web page with the curves and samples of a run, also while it trains; print the address. "
        "The page only reads the run folder.",
    )
    parser.set_defaults(run_command=run)
    add_run(parser)
    parser.add_argument(
        "--host",
        type=host,
        default="127.0.0.1",
        help="address or name to listen on, IPv4 or IPv6 (default: 127.0.0.1, for this machine only)",
    )
    parser.add_argument(
        "--port", type=port, default=8001, help="TCP port to listen on; 0 takes a free one (default: 8001)"
    )


def run(options: argparse.Namespace) -> None:
    """Serve the page until interrupted."""
    from training.run.folder import RunFolder
    from training.run.watch import address_of, make_server

    folder = RunFolder(options.run)
    folder.read_config()  # errors of the folder are not errors of the port
    try:
        made = make_server(folder, host=options.host, port=options.port)
    except (OSError, UnicodeError) as error:  # a host name that cannot be encoded
        raise RunError(_explain(error, options)) from error
    with made as server:
        print(
            f"Showing {folder.path} at {address_of(server, host=options.host)} (Ctrl-C ends this page, not the run)",
            flush=True,
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def _explain(error: OSError | UnicodeError, options: argparse.Namespace) -> str:
    """Say why the server cannot listen, and what to do."""
    place = f"cannot listen on port {options.port} of {options.host}"
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EADDRINUSE:
        return f"{place}: another program listens there. Choose another port, or take any free one by `--port 0`"
    if code == errno.EACCES:
        return f"{place}: this user may not. Choose a port from 1024 on, or take any free one by `--port 0`"
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return f"{place}: {reason}. `--host 127.0.0.1` is for this machine only, `--host 0.0.0.0` for every network"
