"""Picks privacy and assurance of a query by how sensitive it is, and says why before it is paid."""
