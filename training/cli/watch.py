"""`training watch RUN`: show the progress of a run in the browser."""

import argparse

from training.cli.arguments import Commands, add_run, port


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
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, for this machine only)"
    )
    parser.add_argument(
        "--port", type=port, default=8001, help="TCP port to listen on; 0 takes a free one (default: 8001)"
    )


def run(options: argparse.Namespace) -> None:
    """Serve the page until interrupted."""
    from training.run.folder import RunFolder
    from training.run.watch import make_server

    folder = RunFolder(options.run)
    with make_server(folder, host=options.host, port=options.port) as server:
        print(
            f"Showing {folder.path} at http://{options.host}:{server.server_port} (Ctrl-C ends this page, not the run)",
            flush=True,
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
