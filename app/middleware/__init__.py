"""ASGI layers around the routes.

`entrance` combines the outer layers, each of which exists only if a setting asks for it: `access_log`, `tracing`,
`cors` and `auth`. `request_count`, `head_requests` and `body_limit` are always there; `app.main` puts them together.
`disconnects` ends the work for a client that has gone.

This package may import `app.problems` and `app.telemetry`.
"""
