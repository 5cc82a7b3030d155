"""The command line `python -m training COMMAND`: one module for each command.

Each command's module has `add_parser`, which declares its options, and `run`, which does the work. A command that an
interruption leaves half done also has `after_interruption`, which says how to continue. `command_line`
combines the commands and turns errors into exit codes; `arguments` and `inputs` hold the code that several commands
share.

Heavy packages are imported inside functions, not at the top of modules. So `--help`, `watch` and usage errors do not
wait for Matplotlib or TensorBoard, and they work where these are not installed.

This package may import every other module and package of `training`, and `models`.
"""
