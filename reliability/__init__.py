"""Trials of faults, each a command that prints a table and names its machine: docs/reliability.md has the results."""
