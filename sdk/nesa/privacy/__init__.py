"""What each privacy mode does to inputs, outputs and the view of each party."""
