"""Tiny trainings by real commands: how to run, stop and compare them. It may import `training`."""
