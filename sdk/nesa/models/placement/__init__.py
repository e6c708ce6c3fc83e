"""Where to cut a model and who runs which part: costs, capacities, search, bounds; all pure."""
