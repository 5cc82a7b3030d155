"""Data sets: the embedded MNIST, or a person's own images.

`dataset` loads each kind: `mnist`, `stacked_mnist`, a folder (`image_folder`), `npz` and `idx` files. `glyphs` draws
letters and signs that are not digits.

May import `training.overrides`, `training.errors`, `training.pictures` and `models`.
"""
