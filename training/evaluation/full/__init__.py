"""The figures of `evaluate --full`: each takes minutes, and separates models that the usual figures no longer separate.

`full_evaluation` computes all of them. `accuracy_score` and `two_sample_test` train the network of `small_cnn`,
`clipped` computes clipped density and coverage, `copies` looks for copies of training images, and `class_distances`
computes a Fréchet distance for each class.

This package may import the metrics and features of `training.evaluation`, but neither its tables nor its reports.
"""
