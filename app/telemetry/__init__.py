"""Metrics, logs and request ids: everything that the service reports about itself.

`metrics` counts for Prometheus: `families` defines the metrics by subject, and `worker_files` adds up those of several
processes. `logs` formats the log, `line_handler` writes it, `access_record` is one line of the access log, and
`request_ids` names the request that a line or a trace belongs to.

This package imports no other package of `app`.
"""
