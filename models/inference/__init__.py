"""G and D made ready to be called: sampler, scorer, saliency, projection.

A row's result has the same bits whatever rows are computed beside it.

May import `models.model_folder`, `models.networks` and the modules directly below `models`.
"""
