"""The requests and answers as the OpenAPI document shows them, with one module for each subject.

This package may import `app.api.content_negotiation`, `app.api.openapi.examples` and `models`.
"""
