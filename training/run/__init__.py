"""A training run: the loop, its state on disk, and what it shows while it trains.

May import `training.evaluation`, `training.gan` and the rooms below them.
"""
