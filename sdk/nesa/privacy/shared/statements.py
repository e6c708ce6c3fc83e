"""What a member of a group signs of one product: an attestation of a committee of its own.

Its digests are those of a shard's boundaries, of digits and of their sums. So the court takes it as
it takes a member's word in any query, and two of them over the same input can be judged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.protocol.commitments import ShardContext, attestation_hash, commitment, set_digest
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, QueryId
from nesa.protocol.messages import Reveal
from nesa.protocol.signatures import recover_signer, sign_digest
from nesa.protocol.statements import Statement

_SALT_DOMAIN: Final = b"nesa.shared-salt.v1"


@dataclass(frozen=True, slots=True)
class Session:
    """One session on one chain: `contract` holds it, `seed` is the hash of its seed block."""

    chain_id: int
    contract: Address
    session_id: QueryId
    seed: Digest

    def product(self, number: int) -> ShardContext:
        """What members work on: a product stands where an attempt of a query would."""
        place = (self.chain_id, self.contract, self.session_id)
        return ShardContext(*place, number, self.seed, 0)


def sign_sums(
    key: PrivateKey, context: ShardContext, round_: int, in_digest: Digest, out_digest: Digest
) -> Statement:
    """A member's word that sums with `out_digest` are those of digits with `in_digest`; the same
    bytes each time. Its salt hides nothing here, for the member shows it at once."""
    place = context.query_id.to_bytes(32, "big") + context.attempt.to_bytes(4, "big")
    salt = keccak(_SALT_DOMAIN + key.to_bytes() + place + round_.to_bytes(4, "big"))
    member = Address(key.public_key.to_checksum_address())
    said = statement_of(member, context, round_, in_digest, out_digest, salt, bytes(32), bytes(32))
    r, vs = sign_digest(key, _signed(said.reveal))
    return replace(said, reveal=replace(said.reveal, r=r, vs=vs))


def statement_of(
    member: Address,
    context: ShardContext,
    round_: int,
    in_digest: Digest,
    out_digest: Digest,
    salt: bytes,
    r: bytes,
    vs: bytes,
) -> Statement:
    """A member's word of what it sent; whether the member signed it is not looked at."""
    own = (commitment(context, round_, member, in_digest, out_digest, salt),)
    digests = (in_digest, out_digest, ZERO_DIGEST, set_digest(context, round_, own))
    return Statement(member, Reveal(context, round_, 0, salt, *digests, r, vs), own)


def is_signed(statement: Statement) -> bool:
    """Whether its signer signed it.

    Raises:
        InvalidMessage: the signature is none.
    """
    said = statement.reveal
    return recover_signer(_signed(said), said.r, said.vs) == statement.signer


def _signed(said: Reveal) -> Digest:
    return attestation_hash(said.context.chain_id, said.context.market, said.attestation)
