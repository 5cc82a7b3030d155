"""The command line: `python -m training COMMAND`.

May import every room of `training`.
"""
