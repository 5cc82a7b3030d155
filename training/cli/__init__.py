"""The command line `python -m training COMMAND`: one module for each command.

Each command's module has `add_parser`, which declares its options, and `run`, which does the work. `command_line` puts
the commands together and turns errors into exit codes; `arguments` and `inputs` hold what several commands share.

Functions import the heavy packages, not modules, so that `--help`, `watch` and usage errors do not wait for Matplotlib
or TensorBoard, and work where these are not installed.

May import every other module and room of `training`, and `models`.
"""
