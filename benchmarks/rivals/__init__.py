"""Serves the same G by other model servers, each with its own batching on, installed in an environment of their own."""
