"""Inference: sampler, scorer, saliency and projection run the networks of a trained model.

The result of a row has the same bits whatever rows are computed together with it.

This package may import `models.model_folder`, `models.networks` and the modules directly below `models`.
"""
