"""The parts of the OpenAPI document that FastAPI does not derive from the routes, such as examples and links."""
