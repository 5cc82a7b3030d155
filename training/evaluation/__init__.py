"""How good a generator and a discriminator are: metrics, features, tables and reports.

May import `training.gan`, `training.config`, `training.data` and `models`.
"""
