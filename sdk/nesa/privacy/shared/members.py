"""A group's member: digits of a share in, their sums and a signature out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from eth_keys.datatypes import PrivateKey

from nesa.models.lowering import runtime_model
from nesa.models.runtime import ShardRunner
from nesa.privacy.shared.products import Product
from nesa.privacy.shared.seeds import SeenSeeds, expanded
from nesa.privacy.shared.statements import Session, sign_sums
from nesa.privacy.shared.wire import (
    ShareReply,
    ShareRequest,
    decode_request,
    encode_reply,
    pack_sums,
)
from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidMessage, InvalidTensor
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest
from nesa.protocol.versions import ShardFacts

Run: TypeAlias = Callable[[Sequence[bytes]], Sequence[bytes]]
"""Runs a product's only shard: canonical bytes in, canonical bytes out."""


def held_product(product: Product) -> ShardRunner:
    """A product compiled on this machine, whose file nobody else named by a digest."""
    table = product.table
    edges = ((product.input_edge,), (product.output_edge,))
    facts = ShardFacts(*edges, ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST)
    return ShardRunner(runtime_model(table, table.shards[0]), facts, is_own=True)


class GroupMember:
    """Answers requests of one session's client; it knows the products of one model and nothing of
    queries.

    `answer` may be called from several threads, one at a time.
    """

    def __init__(
        self, signer: PrivateKey, session: Session, products: Sequence[ShardRunner]
    ) -> None:
        self._signer, self._session, self._products = signer, session, tuple(products)
        self._seeds = SeenSeeds()
        self.address = Address(signer.public_key.to_checksum_address())

    def answer(self, data: bytes) -> bytes:
        """The encoded reply to an encoded request.

        Raises:
            InvalidMessage: malformed, too long, for no product of the model, or not its digits.
            ReusedRandomness: its seed came before for another share.
        """
        request = decode_request(data)
        if request.number >= len(self._products):
            raise InvalidMessage(f"the model has {len(self._products)} products")
        if request.seed is not None:
            self._seeds.admit(request.seed, (request.number, request.round))
        product = self._products[request.number]
        work = multiplied(request, product.facts, product.run)
        return encode_reply(signed_reply(self._signer, self._session, request, work))


@dataclass(frozen=True, slots=True)
class Work:
    """What a member made of a request, and the digests of what it read and wrote."""

    in_digest: Digest
    out_digest: Digest
    sums: bytes


def multiplied(request: ShareRequest, facts: ShardFacts, run: Run) -> Work:
    """What a product makes of a request's share; packed sums.

    Raises:
        InvalidMessage: it has no seed and not the digits of this product.
    """
    digits = share_of(request, facts.input_edges[0])
    try:
        (sums,) = run((digits,))
    except InvalidTensor as error:
        raise InvalidMessage(f"the digits are no share of this product: {error}") from error
    in_digest = boundary_digest(facts.input_edges, (digits,))
    out_digest = boundary_digest(facts.output_edges, (sums,))
    return Work(in_digest, out_digest, pack_sums(facts.output_edges[0], sums))


def share_of(request: ShareRequest, edge: EdgeType) -> bytes:
    """The digits that a request is about, as canonical bytes; `edge` is the product's input."""
    if request.seed is not None:
        return expanded(request.seed, edge).tobytes()
    assert request.digits is not None  # decode_request lets nothing else through
    return request.digits


def signed_reply(
    signer: PrivateKey, session: Session, request: ShareRequest, work: Work
) -> ShareReply:
    """The reply, with the signature of the member's statement."""
    context = session.product(request.number)
    said = sign_sums(signer, context, request.round, work.in_digest, work.out_digest).reveal
    return ShareReply(work.in_digest, work.out_digest, work.sums, said.salt, said.r, said.vs)
