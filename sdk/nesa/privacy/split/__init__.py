"""SPLIT: the client computes the first and the last layers itself, the network the middle."""
