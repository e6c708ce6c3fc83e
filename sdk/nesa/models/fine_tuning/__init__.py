"""Moves the weights of a float model until rounding costs less. Needs torch; nothing else does."""
