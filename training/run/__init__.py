"""A training run: the loop, the saved state, the alarms, and everything that a run writes and shows.

This package may import `training.evaluation`, `training.gan` and the packages below them.
"""
