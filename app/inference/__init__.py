"""Networks off the event loop: the engine, the loaded models, the queue of projections, the watchdog.

May import `app.problems`, `app.telemetry` and `models`.
"""
