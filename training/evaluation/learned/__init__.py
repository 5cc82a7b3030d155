"""Features of networks: of one that is trained on the data set itself, and of DINOv2.

`choice` decides which features a data set gets, `obtain` reads or makes them, `network` holds a trained network and its
file, `learning` trains one on the data's labels (`own_classifier`) or without labels (`self_supervised`). `dinov2` is a
network that others trained, with weights from a local file.

This package may import the modules of `training.evaluation` that `evaluate` imports, but not `evaluate` itself.
"""
