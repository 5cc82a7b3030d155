"""The method: the two players, their losses, penalties and augmentation, the steps, EMA, and several processes.

This package may import `training.config`, `training.recipe`, `training.data` and the modules below them, and `models`.
"""
