"""Load on a service, by wrk or at a constant rate, and the options of the commands that measure it.

This room may import `harness` and `models`.
"""
