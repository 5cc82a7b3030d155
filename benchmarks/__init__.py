"""Measurements. Each module here is a command that prints a table and names its machine; no test depends on a figure.

What commands share is in rooms: `load` puts load on services, `services` and `rivals` are services to compare with,
`trainers` are trainings and their judgement. It may import `harness` and the product's packages, never `reliability`.
"""
