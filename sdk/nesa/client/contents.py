"""Long tensors on the client's side: an input becomes a locator, an answer is fetched by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nesa.chain.committees import DrawnCommittees, Seat
from nesa.chain.contents import Wanted, content_reader
from nesa.chain.contracts import Order
from nesa.chain.events import QueryFulfilled
from nesa.client.publishing import Publisher
from nesa.client.receipts import is_paid
from nesa.models.card import AnyCard
from nesa.models.proving.reference_string import LOCAL_CHAIN_IDS
from nesa.privacy.sealing import carried_bytes
from nesa.protocol.contents import (
    content_name,
    encode_locator,
    is_long_answer,
)
from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidConfiguration, InvalidInput, InvalidMessage
from nesa.protocol.ids import Digest
from nesa.protocol.messages import MAX_TENSOR_BYTES
from nesa.protocol.queries import Outcome, Privacy, Query


async def published(
    order: Order, edge: EdgeType, data: bytes, publisher: Publisher
) -> tuple[Order, bytes]:
    """The order and the locator that its request carries, once a long input is where that says.

    `data` are the input's canonical bytes, or its ciphertext.

    Raises:
        InvalidInput: members would not ask the publisher's URLs.
        Unavailable, ExhaustedResource, InvalidConfiguration: see the publisher.
    """
    locator = encode_locator(await publisher.publish(data))
    if order.privacy is Privacy.SEALED:
        return order, locator
    return replace(order, input_digest=boundary_digest([edge], [data])), locator


def require_carriable(card: AnyCard) -> None:
    """Returns when members can hand on the input and the answer of a model.

    Raises:
        InvalidInput: one of them is longer than a message between members may be.
    """
    for name, edge in (("input", card.input_edge), ("answer", card.output_edge)):
        if edge.nbytes > MAX_TENSOR_BYTES:
            raise InvalidInput(
                f"the {name} of {card.name} has {edge.nbytes:,} bytes, and members take "
                f"{MAX_TENSOR_BYTES:,}; compile the model for less"
            )


def require_local(chain_id: int, size: int) -> None:
    """Returns where members may be asked to read from this machine's own loopback address.

    Raises:
        InvalidConfiguration: elsewhere; an input of `size` bytes has to be published.
    """
    if chain_id not in LOCAL_CHAIN_IDS:
        raise InvalidConfiguration(
            f"an input of {size} bytes does not go on chain: say where members can read it from "
            "(--serve, --content-url; publisher= of Client.connect in Python)"
        )


async def delivered(
    query: Query, edge: EdgeType, event: QueryFulfilled, committees: DrawnCommittees
) -> bytes:
    """The answer, or its ciphertext: as the report brought it, else from members that keep it.

    Raises:
        Unavailable: no member of the last shard hands it out.
    """
    size = carried_bytes(query.privacy, edge.nbytes)
    if not is_long_answer(size):
        return event.output
    name = Digest(event.output)

    def check(data: bytes) -> None:
        if _name_of(query, edge, data) != name:
            raise InvalidMessage("other bytes than were reported")

    endpoints = [seat.endpoint for seat in _paid_first(event.outcome, committees)]
    async with content_reader(allow_private=True) as reader:
        return await reader.kept(Wanted(query.query_id, name, size, check), endpoints)


def _name_of(query: Query, edge: EdgeType, data: bytes) -> Digest | None:
    if query.privacy is Privacy.SEALED:
        return content_name(data) if data else None
    return boundary_digest([edge], [data]) if len(data) == edge.nbytes else None


def _paid_first(outcome: Outcome, committees: DrawnCommittees) -> Sequence[Seat]:
    last = len(committees.shards) - 1
    seats = enumerate(committees.shards[last])
    ordered = sorted(seats, key=lambda one: not is_paid(outcome, last, one[0]))
    return [seat for _, seat in ordered]
