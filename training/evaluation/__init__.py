"""How good a generator and a discriminator are: metrics, features, tables and reports.

`evaluate` makes all figures, from `metrics` (Fréchet and kernel distance, precision, recall), `parzen`, `neighbours`
and `out_of_distribution`, in the `features` of a digit `classifier`. `table`, `charts` and `report` show them.
`parallel` uses all cores, and `pairwise_distances` computes blocks of squared distances.

May import `training.gan` and the rooms below it.
"""
