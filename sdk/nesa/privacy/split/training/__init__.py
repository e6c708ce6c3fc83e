"""Split training: the client trains a model's first and last layers, a peer those between."""
