"""Puts a wish into the market's terms: assurance, privacy, replicas, and the sealed form of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from nesa.chain.contracts import Order
from nesa.client.cards import Model
from nesa.models.proving.hashing import tensor_hash
from nesa.privacy import sealing
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import ZERO_DIGEST, Amount, Digest
from nesa.protocol.queries import Assurance, Privacy


@dataclass(frozen=True, slots=True)
class SealedInput:
    """What a contract that asks sealed passes to the market: the digest for its order and the
    ciphertext as its input. `content_key` never goes there: it opens both, and the answer."""

    input_digest: Digest
    ciphertext: bytes
    content_key: bytes = field(repr=False)


DEFAULT_REPLICAS: Final = 4
"""Members of each shard's committee: four go on when one is wrong or silent."""

PROVED_REPLICAS: Final = 1
"""A proof needs nobody to agree with it."""


def make_order(
    model: Model, assurance: Assurance | str | None, sealed: bool, replicas: int | None
) -> Order:
    """The order for a model; its fee limit is still to be set.

    Raises:
        InvalidInput: there is no such assurance, or not for this model.
    """
    kind = read_assurance(assurance)
    if kind is Assurance.PROVED and model.card.equivariance is not None:
        raise InvalidInput(
            f"{model.name} is under a user's key and has no circuits, so that nothing of it is "
            "proved: ask for AGREED or CHALLENGED"
        )
    if kind is Assurance.PROVED:
        _check_circuits(model, sealed)
    usual = PROVED_REPLICAS if kind is Assurance.PROVED else DEFAULT_REPLICAS
    return Order(
        version_id=model.version_id,
        assurance=kind,
        privacy=Privacy.SEALED if sealed else Privacy.OPEN,
        replicas=usual if replicas is None else replicas,
        max_fee=Amount(0),
        input_digest=ZERO_DIGEST,
    )


def _check_circuits(model: Model, sealed: bool) -> None:
    hides = model.card.circuits is not CircuitKind.PUBLIC
    if hides and not sealed:
        raise InvalidInput(
            f'proofs of {model.name} hide the input: ask it sealed (--sealed, privacy="sealed"), '
            "or ask its public version"
        )
    if sealed and not hides and model.card.reference_string:  # the market says it where none are
        raise InvalidInput(
            f"proofs of {model.name} show the input: ask a version with hashed circuits (`nesa "
            "model circuits`), or for AGREED or CHALLENGED"
        )


def read_assurance(assurance: Assurance | str | None) -> Assurance:
    """The assurance of that name, AGREED when nothing is said.

    Raises:
        InvalidInput: there is none.
    """
    if assurance is None or isinstance(assurance, Assurance):
        return assurance or Assurance.AGREED
    try:
        return Assurance[assurance.upper()]
    except KeyError:
        known = ", ".join(kind.name for kind in Assurance)
        raise InvalidInput(f"{assurance!r} is no assurance; choose one of {known}") from None


def sealed_order(
    order: Order, model: Model, data: bytes, content_key: bytes
) -> tuple[Order, bytes]:
    """The order that shows only a blinded digest, and the ciphertext that goes with it."""
    edge = model.card.input_edge
    if order.assurance is Assurance.PROVED:
        sealed = tensor_hash(edge, data, sealing.proof_blind(content_key))
    else:
        sealed = sealing.input_digest(content_key, boundary_digest([edge], [data]))
    ciphertext = sealing.seal_input(content_key, model.version_id, data)
    return replace(order, input_digest=sealed), ciphertext
