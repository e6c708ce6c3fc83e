"""From the layers of a float model to rows of a table, one module for each family of layers."""
