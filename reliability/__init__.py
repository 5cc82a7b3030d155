"""Trials of faults. Each module here is a command that prints a table and names its machine: see docs/reliability.md.

Code that several commands share is in rooms: `load` has clients and probes, `hostile` has hostile input, and
`trainings` has tiny trainings by real commands. This package may import `harness` and the product's packages, never
`benchmarks`.
"""
