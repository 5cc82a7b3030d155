"""ASGI layers around the routes.

`entrance` holds what stands before everything where a setting asks for it: `access_log`, `tracing`, `cors` and `auth`.
`request_count`, `head_requests` and `body_limit` are always there; `app.main` puts them together. `disconnects` ends
the work for a client that has gone.

May import `app.problems` and `app.telemetry`.
"""
