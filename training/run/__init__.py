"""A training run: the loop, the saved state, the alarms, and everything that a run writes and shows.

May import `training.evaluation`, `training.gan` and the rooms below them.
"""
