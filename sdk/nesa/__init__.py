"""Nesa: run AI models on machines you do not trust, and check what they say."""
