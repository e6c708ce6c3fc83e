"""Turns a fulfilled query into an answer: opens it, decodes it, puts it in the model's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.chain.committees import DrawnCommittees
from nesa.chain.events import QueryFulfilled
from nesa.client.answers import Answer, GasUsed, OutputTensor, SubmittedQuery, Timings
from nesa.client.cards import Model
from nesa.client.equivariance import plain_answer
from nesa.client.receipts import Member, fee_receipt, is_paid
from nesa.models.card import AnyCard, ClassifierCard
from nesa.models.proving.hashing import tensor_hash
from nesa.privacy.sealing import open_answer, proof_blind
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.errors import InvalidInput, InvalidMessage
from nesa.protocol.ids import Address, Timestamp
from nesa.protocol.queries import Assurance, Outcome, Privacy, Query, QueryStatus

DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the chain holds about an answered query at one moment.

    `output` is the answer or its ciphertext, also where the report brought only its name.
    """

    event: QueryFulfilled
    output: bytes
    committees: DrawnCommittees
    status: QueryStatus
    closes_at: Timestamp
    fulfil_gas: int
    held_shards: tuple[int, ...] = ()

    @property
    def is_disputable(self) -> bool:
        """Whether the answer may still be overturned."""
        return self.status is QueryStatus.FULFILLED


def plain_output(submitted: SubmittedQuery, card: AnyCard, output: bytes) -> bytes:
    """Canonical bytes of the output tensor, opened when it was sealed.

    Raises:
        InvalidInput: it was sealed and the content key is not here.
        InvalidMessage: the content key does not open it, or it is not what was proved.
    """
    query, is_proved = submitted.query, submitted.query.assurance is Assurance.PROVED
    if query.privacy is Privacy.OPEN or (is_proved and card.circuits is CircuitKind.HASHED):
        return output
    if submitted.content_key is None:
        raise InvalidInput(
            f"query {query.query_id} is sealed; its answer is read with the content key that it "
            "was asked with"
        )
    sealed, content_key = output[DIGEST_BYTES:] if is_proved else output, submitted.content_key
    answer = open_answer(content_key, query.version_id, query.input_digest, sealed)
    if is_proved:
        proved = tensor_hash(card.output_edge, answer, proof_blind(content_key))
        if proved != output[:DIGEST_BYTES]:
            raise InvalidMessage("the prover sealed another answer than the one that it proved")
    return answer


def read_answer(submitted: SubmittedQuery, model: Model, delivery: Delivery) -> Answer:
    """The answer of a delivered query.

    Raises:
        InvalidInput: sealed, or of a model under a key, and that key is not here.
        InvalidTensor: what was delivered is no output of this model.
    """
    query, event = submitted.query, delivery.event
    edge = model.card.output_edge
    delivered = edge.decode(plain_output(submitted, model.card, delivery.output))
    card, integers = plain_answer(model, delivered, submitted.equivariant_key)
    words = in_words(card, integers)
    return Answer(
        query_id=query.query_id,
        version_id=query.version_id,
        label=words.label,
        index=words.index,
        logits=words.logits,
        scores=words.scores,
        output=OutputTensor(integers, edge, card.output_scale),
        assurance=query.assurance,
        privacy=query.privacy,
        status=delivery.status,
        disputable_until=delivery.closes_at if delivery.is_disputable else None,
        challenged_shards=delivery.held_shards,
        callback=event.callback,
        fee=fee_receipt(query, event.outcome),
        gas=GasUsed(submitted.request_gas, delivery.fulfil_gas),
        timings=Timings(query.opened_at, Timestamp(event.outcome.fulfilled_at)),
        committee=members(query, event.outcome, delivery.committees),
        oracle=oracle_of(event.outcome, delivery.committees),
    )


@dataclass(frozen=True, slots=True)
class Words:
    """What a classifier's answer means; nothing of it for any other model."""

    label: str | None = None
    index: int | None = None
    logits: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)


def in_words(card: AnyCard, integers: NDArray[np.generic]) -> Words:
    """What an output tensor means in the words of a card."""
    if not isinstance(card, ClassifierCard):
        return Words()
    said = card.interpret(integers)
    return Words(
        said.label,
        said.index,
        dict(zip(card.labels, said.logits, strict=False)),
        dict(zip(card.labels, said.scores, strict=False)),
    )


def oracle_of(outcome: Outcome, committees: DrawnCommittees) -> Address:
    """The drawn operator whose signer reported, or whoever did after the oracles' turns."""
    operators = {seat.signer: seat.operator for seat in committees.oracles}
    return operators.get(outcome.reporter, outcome.reporter)


def members(query: Query, outcome: Outcome, committees: DrawnCommittees) -> tuple[Member, ...]:
    """Everybody drawn, and for PROVED spares that were paid; the report says who was."""
    return tuple(
        Member(shard, position, seat.operator, seat.signer, seat.endpoint, paid)
        for shard, seats in enumerate(committees.shards)
        for position, seat in enumerate(seats)
        for paid in [is_paid(outcome, shard, position)]
        if paid or position < query.replicas
    )
