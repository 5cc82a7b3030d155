"""Data sets: the embedded MNIST, or a person's own images.

`dataset` loads each kind: `mnist`, `stacked_mnist`, `arrays` in `npz` and `idx` files (`idx_set` finds those that
belong together), and pictures in a folder, an archive or shards (`load_pictures`). `sources` reads pictures:
`folder_tree` finds those of a folder, `picture_tree` sorts them into classes and splits, and `image_file` reads one.
`cache` keeps decoded pictures on the disk. `reading` holds what a person chooses, `title` names the data, and `text`
makes names printable. `labels` numbers the classes, and `split` holds some images out and puts the others into an order
of which every slice is stratified. `copies` finds equal images. `glyphs` draws letters and signs that are not digits.

This package may import `training.overrides`, `training.errors`, `training.pictures` and `models`.
"""
