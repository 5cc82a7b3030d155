"""Runs networks off the event loop.

`engine` runs them on one thread. A job (`jobs`) is one request's input for one network; jobs wait in `batch_queue`,
which joins several of them into one call. `projection_queue` has a thread of its own. `catalog` holds the loaded
models, `decode_slots` limits how many uploads are decoded at once, and `watchdog` ends a service that hangs.

This package may import `app.problems`, `app.telemetry` and `models`.
"""
