"""Measurements, each a command that prints a table and names its machine. Nothing here decides a test."""
