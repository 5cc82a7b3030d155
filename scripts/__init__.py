"""Programs that `make` or a person runs beside the product: the documentation site, its notebook, screenshots, …"""
