"""Services that are compared with ours: plain FastAPI, FastAPI without a G, bare ASGI, Ray Serve's batching.

This room may import `harness` and the product's packages. Its modules are started as processes of their own.
"""
