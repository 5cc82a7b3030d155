"""Pixels in and out: PNG, animations, archives, uploads.

May import `app.problems` and `models`.
"""
