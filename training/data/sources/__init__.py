"""Where pictures come from: a folder, a zip, tar shards or Parquet shards, and their labels.

Each source lists its pictures first (`picture_list`), and `reader` then reads them one by one into a `spool`, so that
the memory does not grow with their number. `find` decides what a path is. `label_file` reads labels from CSV and JSON.

This package may import the modules beside it that read one file or name one thing: `image_file`, `folder_tree`,
`labels`, `raw_images` and `reading`.
"""
