"""The OpenAPI document: examples, links between calls, and what FastAPI does not derive from the routes."""
