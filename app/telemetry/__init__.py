"""What the service tells about itself: metrics, logs, request ids.

Imports no other room of `app`.
"""
