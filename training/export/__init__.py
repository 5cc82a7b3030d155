"""Write a model folder from a run.

This package may import `training.run`, `training.evaluation`, `training.gan` and the packages below them.
"""
