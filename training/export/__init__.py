"""From a finished run to a model folder.

May import `training.run`, `training.evaluation`, `training.gan` and the rooms below them.
"""
