"""Other model servers around the same G, each with its own batching on, in an environment of their own."""
