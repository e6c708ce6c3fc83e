"""Brings a fresh clone to where it can run: Python packages, the development chain, solc.

Standard library only, because it runs before anything is installed.
"""
