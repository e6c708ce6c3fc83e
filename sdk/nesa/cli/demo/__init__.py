"""The story that `nesa demo` tells on a network of real processes."""
