"""A training run: the loop, the state on disk, the alarms, and all that a run writes and shows.

May import `training.evaluation`, `training.gan` and the rooms below them.
"""
