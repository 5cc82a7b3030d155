"""The services that are measured beside ours: a plain one, a hello, bare ASGI, and other batching on Ray Serve.

This room may import `harness` and the product's packages. Its modules are started as processes of their own.
"""
