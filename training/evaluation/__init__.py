"""Evaluation of a generator and a discriminator: metrics, features, tables and reports.

`evaluate` computes all figures, from `metrics` (Fréchet and kernel distance, precision, recall), `parzen`, `neighbours`
and `out_of_distribution`, in the features that `features` extracts: those of a digit `classifier` or, for other
pictures, `wavelets`. `table`, `charts` and `report` show them. `parallel` runs networks on all cores, and
`pairwise_distances` computes blocks of squared distances.
`full` has the figures of `evaluate --full`, which take minutes.

This package may import `training.gan` and the packages below it.
"""
