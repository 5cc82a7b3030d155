"""The HTTP contract: what a request means and what is answered.

May import `app.middleware`, `app.inference`, `app.media`, `app.settings`, `app.problems`, `app.telemetry` and `models`.
"""
