"""What an operator has its enclave put into a quote: for whom it speaks, and that it is not old."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.ids import Address

BINDING_DOMAIN: Final = keccak(text="nesa.attested-seat.v1")
REPORT_DATA_BYTES: Final = 64

_ABI: Final = (
    "bytes32",  # domain
    "uint256",  # chain id
    "address",  # stake vault
    "address",  # operator
    "address",  # signer
    "bytes32",  # encryption key
    "uint256",  # number of a recent block
    "bytes32",  # hash of that block
)


@dataclass(frozen=True, slots=True)
class Binding:
    """The operator that a quote is for, with the keys that its enclave holds.

    `signer` signs results and `encryption_key` opens sealed queries. Nobody knew `block_hash`
    before block `block_number` was made, so the quote is younger than that block.
    """

    chain_id: int
    vault: Address
    operator: Address
    signer: Address
    encryption_key: bytes
    block_number: int
    block_hash: bytes

    @property
    def report_data(self) -> bytes:
        """The 64 bytes that the quote must carry: a hash of all of it, then zeros."""
        keys = (self.vault, self.operator, self.signer, self.encryption_key)
        block = (self.block_number, self.block_hash)
        digest = keccak(encode(_ABI, (BINDING_DOMAIN, self.chain_id, *keys, *block)))
        return digest.ljust(REPORT_DATA_BYTES, b"\0")
