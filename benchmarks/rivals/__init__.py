"""Other model servers with the same G, each with its own batching on. They have an environment of their own."""
