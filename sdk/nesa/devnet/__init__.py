"""A whole network on one machine: a chain, miners and oracles as processes of their own."""
