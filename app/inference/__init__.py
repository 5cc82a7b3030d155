"""Runs networks off the event loop.

`engine` runs them on one thread: `jobs` wait in `batch_queue`, which also makes each call. `projection_queue`
has a thread of its own. `catalog` holds the loaded models, `decode_slots` limits how many uploads are decoded at once,
and `watchdog` ends a service that hangs.

This room may import `app.problems`, `app.telemetry` and `models`.
"""
