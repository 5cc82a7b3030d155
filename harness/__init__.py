"""Start and drive real services and trainings from outside: what benchmarks, reliability trials and tests share.

Here are services as processes, pinned to a core or with a client and a log; the tree of processes that a service
starts; tiny model folders; the description of the machine; Markdown tables. This package may import `app`, `models` and
`training`. It imports neither `benchmarks`, `reliability` nor `tests`, and no package of the product imports it.
"""
