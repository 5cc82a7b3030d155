"""The trainings that are measured, recipes and the write-up's loop, and the judgement of their samples.

This room may import `harness` and the product's packages.
"""
