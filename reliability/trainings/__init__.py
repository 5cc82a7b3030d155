"""Tiny trainings by real commands: how to run, stop and compare them. This room may import `training`."""
