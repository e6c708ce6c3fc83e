"""Split training over HTTP: a peer that trains its layers for others, and the way to it."""
