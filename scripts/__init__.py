"""Programs that `make` or a person runs: the documentation site and its notebook, screenshots, the container."""
