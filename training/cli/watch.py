"""`training watch RUN`: show a run on a page that follows it."""

import argparse

from training.cli.arguments import Commands, add_run, port


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "watch",
        help="look at a run",
        description="Show a run on a page that follows it as it is trained; it only reads.",
    )
    parser.set_defaults(run_command=run)
    add_run(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=port, default=8001, help="port to listen on; 0: a free one (default: 8001)")


def run(options: argparse.Namespace) -> None:
    """Serve the page until interrupted."""
    from training.run.folder import RunFolder
    from training.run.watch import make_server

    folder = RunFolder(options.run)
    with make_server(folder, host=options.host, port=options.port) as server:
        print(
            f"Watching {folder.path} on http://{options.host}:{server.server_port} (Ctrl-C ends it; the run goes on)",
            flush=True,
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
