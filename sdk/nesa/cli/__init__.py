"""The nesa command."""
