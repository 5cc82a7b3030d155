"""Write a model folder from a run.

May import `training.run`, `training.evaluation`, `training.gan` and the rooms below them.
"""
