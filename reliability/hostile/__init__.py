"""Hostile input for the trials and for tests. It may import `harness` and the product's packages."""
