"""Hostile input for the trials and for tests. This room may import `harness` and the product's packages."""
