"""The same G in other model servers, each with its own batching on, installed in an environment of their own."""
