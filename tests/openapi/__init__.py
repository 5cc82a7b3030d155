"""The OpenAPI document for linters and generators: `make test-openapi` installs the tools and runs these tests.

`calls.py` and `calls.ts` call every operation by a client that was generated from the document. They run in
environments of their own.
"""
