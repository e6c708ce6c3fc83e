"""What a member of a group signs of one product: the digests of its digits and of its sums.

The digests are those of a shard's boundaries, so a judge of `int-v1` can be asked which of two
statements over the same input is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.ids import PROTOCOL_VERSION, Address, Digest
from nesa.protocol.signatures import recover_signer

SUMS_DOMAIN: Final = keccak(text="nesa.shared-sums.v1")

_TYPES: Final = ("bytes32", "uint256", "uint256", "address", "bytes32", "uint256", "bytes32")


@dataclass(frozen=True, slots=True)
class ProductContext:
    """One product of one query: `number` is its place in the plan, `root` that of its table.

    `session` are 32 bytes that the client draws for a query.
    """

    chain_id: int
    market: Address
    session: bytes
    number: int
    root: Digest

    def digest(self, in_digest: Digest, out_digest: Digest) -> Digest:
        """What a member signs."""
        head = (SUMS_DOMAIN, PROTOCOL_VERSION, self.chain_id, self.market, self.session)
        values = (*head, self.number, self.root, in_digest, out_digest)
        return Digest(keccak(encode([*_TYPES, "bytes32", "bytes32"], values)))


@dataclass(frozen=True, slots=True)
class SumsStatement:
    """A member's signed word that sums with `out_digest` are those of digits with `in_digest`."""

    context: ProductContext
    in_digest: Digest
    out_digest: Digest
    r: bytes
    vs: bytes

    @property
    def signer(self) -> Address:
        """Who signed it.

        Raises:
            InvalidMessage: nobody did.
        """
        digest = self.context.digest(self.in_digest, self.out_digest)
        return recover_signer(digest, self.r, self.vs)
