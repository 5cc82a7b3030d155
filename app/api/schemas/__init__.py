"""Requests and answers as the OpenAPI document shows them, one module a subject.

May import `app.api.content_negotiation`, `app.api.openapi.examples` and `models`.
"""
