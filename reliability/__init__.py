"""Trials of faults. Each module here is a command that prints a table and names its machine: see docs/reliability.md.

What commands share is in rooms: `load` are clients and probes, `hostile` is hostile input, `trainings` are tiny
trainings by real commands. It may import `harness` and the product's packages, never `benchmarks`.
"""
