"""The model folder: how a trained model travels from `training` to `app`.

May import `models.networks` and the modules directly below `models`.
"""
