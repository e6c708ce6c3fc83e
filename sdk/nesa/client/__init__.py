"""Asks models and reads answers: what a person or a program needs, and nothing of a miner."""
