"""The model folder: the files in which `training` stores a trained model, and from which `app` loads it.

This package may import `models.networks` and the modules directly below `models`.
"""
