"""Networks as functions of rows whose bits never depend on the batch: sampler, scorer, projection.

May import `models.model_folder`, `models.networks` and the modules directly below `models`.
"""
