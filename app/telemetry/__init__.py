"""What the service reports about itself.

`metrics` counts for Prometheus: `families` has the metrics by subject, `worker_files` those of several processes.
`logs` formats the log, and `request_ids` names the request that a line or a trace belongs to.

Imports no other room of `app`.
"""
