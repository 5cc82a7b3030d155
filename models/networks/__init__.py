"""The networks G and D: their layers, their architectures, and how a pair is built from its description.

May import the modules directly below `models` (`latents`, `images`, `errors`), no other room.
"""
