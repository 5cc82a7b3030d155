"""Data: the embedded MNIST, or a person's own images."""
