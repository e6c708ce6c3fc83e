"""Text that strangers wrote, such as the name of a model, on its way to a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` in one line, with a mark in place of whatever could steer a terminal."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
