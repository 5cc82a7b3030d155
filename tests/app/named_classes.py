"""The names of the classes of the models of the fixture `named`."""

PETS = ("cat", "dog, black", "10", "Käfer & Co?")
BREEDS = tuple(f"breed {number}" for number in range(200))
