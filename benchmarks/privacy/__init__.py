"""What privacy costs, and what it leaves to see: `make bench-privacy`."""
