"""Integers as elements of the scalar field of BN254, in which circuits compute."""

from __future__ import annotations

from typing import Final

MODULUS: Final = 21888242871839275222246405745257275088548364400416034343698204186575808495617


def to_field(value: int) -> int:
    """The element that stands for `value`: itself, or `MODULUS + value` when negative."""
    return value % MODULUS


def from_field(element: int) -> int:
    """The integer nearest to zero that `element` (in [0, MODULUS)) stands for."""
    return element if element <= MODULUS // 2 else element - MODULUS


def element_of_hex(text: str) -> int:
    """The element in ezkl's form: 64 hexadecimal digits, little-endian."""
    return int.from_bytes(bytes.fromhex(text), "little")


def hex_of_element(element: int) -> str:
    """ezkl's form of `element`: 64 hexadecimal digits, little-endian."""
    return element.to_bytes(32, "little").hex()
