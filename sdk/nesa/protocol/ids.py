"""Names for the raw bytes, numbers and strings that travel between programs and contracts."""

from __future__ import annotations

from typing import Final, NewType

QueryId = NewType("QueryId", int)
"""Number of a query in its market, counted from 1."""

VersionId = NewType("VersionId", bytes)
"""32 bytes: a version of a model as one developer registered it."""

VersionRoot = NewType("VersionRoot", bytes)
"""32 bytes: the Merkle commitment to a version's operator table; the same on every chain."""

Digest = NewType("Digest", bytes)
"""32 bytes of keccak-256."""

Address = NewType("Address", str)
"""Checksummed, 0x-prefixed account."""

Amount = NewType("Amount", int)
"""Sum of NES in its smallest unit: 1 NES = 10**9 units, the whole supply fits 64 bits."""

Seconds = NewType("Seconds", int)
Timestamp = NewType("Timestamp", int)
BlockNumber = NewType("BlockNumber", int)
Epoch = NewType("Epoch", int)

ZERO_DIGEST: Final = Digest(bytes(32))

PROTOCOL_VERSION: Final = 1
"""Second field of every hashed or signed message."""

NES_DECIMALS: Final = 9
ONE_NES: Final = Amount(10**NES_DECIMALS)
