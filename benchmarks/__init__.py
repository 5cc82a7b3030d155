"""Measurements. Each module here is a command that prints a table and names its machine; no test checks a figure.

Code that several commands share is in rooms: `load` puts load on services, `services` and `rivals` are services to
compare with, `trainers` trains networks and judges their samples. This package may import `harness` and the product's
packages, never `reliability`.
"""
