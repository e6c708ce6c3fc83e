"""SHARED: two groups without a common operator multiply, and each sees one uniformly random share.

The client knows the weights and keeps everything that is not linear. Both groups together know the
input.
"""
