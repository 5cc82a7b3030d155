"""Data sets: the embedded MNIST, or a person's own images.

`dataset` loads each kind: `mnist`, `stacked_mnist`, a folder (`folder_tree` finds its images, `image_folder` and
`image_file` read them), `npz` and `idx` files (`idx_set` finds those that belong together). `labels` numbers the
classes, and `split` holds some images out and puts the others into an order of which every slice is stratified.
`copies` finds
equal images. `glyphs` draws letters and signs that are not digits.

This package may import `training.overrides`, `training.errors`, `training.pictures` and `models`.
"""
