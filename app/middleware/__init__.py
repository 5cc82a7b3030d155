"""ASGI layers around the routes: keys, CORS, access log, tracing, limits on bodies, disconnects.

May import `app.problems` and `app.telemetry`.
"""
