"""Evaluation of a generator and a discriminator: metrics, features, tables and reports.

`evaluate` computes all figures, from `metrics` (Fréchet and kernel distance, precision, recall), `parzen`, `neighbours`
and `out_of_distribution`, in `features`: those of a digit `classifier`, `wavelets`, or those of a network in `learned`.
`table`, `charts` and `report` show them. `parallel` runs networks on all cores, `pairwise_distances` computes blocks of
squared distances, and `progress` says how far long work is.
`full` has the figures of `evaluate --full`, which take minutes.

This package may import `training.gan` and the packages below it.
"""
