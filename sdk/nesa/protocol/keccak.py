"""keccak-256 of bytes by the fastest library that is installed: a tensor's tree takes thousands."""

from __future__ import annotations

from collections.abc import Callable

from eth_utils.crypto import keccak

try:
    import sha3
except ImportError:  # ships with the contracts' tools; without it hashing takes four times as long
    sha3 = None


def _fastest() -> Callable[[bytes], bytes]:
    if sha3 is None:
        return keccak
    new = sha3.keccak_256

    def keccak_256(data: bytes) -> bytes:
        found: bytes = new(data).digest()
        return found

    return keccak_256


keccak_256 = _fastest()
"""32 bytes for any bytes."""
