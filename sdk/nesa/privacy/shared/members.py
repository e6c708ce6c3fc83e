"""A group's member: digits of a share in, their sums and a signature out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_keys.datatypes import PrivateKey

from nesa.models.lowering import runtime_model
from nesa.models.runtime import ShardRunner
from nesa.privacy.envelopes import Deployment
from nesa.privacy.shared.products import Product
from nesa.privacy.shared.seeds import SeenSeeds, expanded
from nesa.privacy.shared.statements import ProductContext
from nesa.privacy.shared.wire import (
    ShareReply,
    ShareRequest,
    decode_request,
    encode_reply,
    pack_sums,
)
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import InvalidMessage, InvalidTensor
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest
from nesa.protocol.signatures import sign_digest
from nesa.protocol.versions import ShardFacts


@dataclass(frozen=True, slots=True)
class HeldProduct:
    """A product's table by its root, and what runs it."""

    root: Digest
    runner: ShardRunner


def held_product(product: Product) -> HeldProduct:
    """A product compiled on this machine, whose file nobody else named by a digest."""
    table = product.table
    edges = ((product.input_edge,), (product.output_edge,))
    facts = ShardFacts(*edges, ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST)
    runner = ShardRunner(runtime_model(table, table.shards[0]), facts, is_own=True)
    return HeldProduct(table.operators_root, runner)


class GroupMember:
    """Answers requests of clients; it knows the products of one model and nothing of queries.

    `answer` may be called from several threads, one at a time.
    """

    def __init__(
        self, signer: PrivateKey, deployment: Deployment, products: Sequence[HeldProduct]
    ) -> None:
        self._signer, self._deployment, self._products = signer, deployment, tuple(products)
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
        product = self._products[request.number]
        digits = self._digits(request, product)
        try:
            (sums,) = product.runner.run((digits,))
        except InvalidTensor as error:
            raise InvalidMessage(f"the digits are no share of this product: {error}") from error
        return encode_reply(self._signed(request, product, digits, sums))

    def _digits(self, request: ShareRequest, product: HeldProduct) -> bytes:
        if request.seed is None:
            assert request.digits is not None  # decode_request lets nothing else through
            return request.digits
        self._seeds.admit(request.seed, (request.session, request.number))
        return expanded(request.seed, product.runner.facts.input_edges[0]).tobytes()

    def _signed(
        self, request: ShareRequest, product: HeldProduct, digits: bytes, sums: bytes
    ) -> ShareReply:
        facts = product.runner.facts
        place = (self._deployment.chain_id, self._deployment.market, request.session)
        context = ProductContext(*place, request.number, product.root)
        in_digest = boundary_digest(facts.input_edges, (digits,))
        out_digest = boundary_digest(facts.output_edges, (sums,))
        signature = sign_digest(self._signer, context.digest(in_digest, out_digest))
        packed = pack_sums(facts.output_edges[0], sums)
        return ShareReply(in_digest, out_digest, packed, *signature)
