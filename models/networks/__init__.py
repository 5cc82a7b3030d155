"""The networks G and D: their layers, their architectures, and how a pair is built from its description.

This package may import the modules directly below `models` (`latents`, `images`, `errors`), but no other package.
"""
