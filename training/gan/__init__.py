"""The method: the game, its losses, penalties and augmentation, EMA, several processes.

May import `training.config`, `training.recipe`, `training.data` and `models`.
"""
