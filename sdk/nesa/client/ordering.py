"""Puts a wish into the market's terms: assurance, privacy, replicas, and the sealed form of it."""

from __future__ import annotations

import secrets
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


OPEN: Final = "open"
SEALED: Final = "sealed"
AUTO: Final = "auto"
"""The hybrid rule chooses privacy and assurance, see `nesa.client.hybrid`."""


def read_privacy(privacy: str | None, sealed: bool, fixed: bool, sensitive: bool) -> str:
    """`OPEN`, `SEALED` or `AUTO`: what is asked for by name, else by `sealed`.

    `fixed` says that an assurance was named, `sensitive` that a sensitivity or a deadline was.

    Raises:
        InvalidInput: there is none of that name, or the others say something else.
    """
    kind = (privacy or (SEALED if sealed else OPEN)).lower()
    if kind not in (OPEN, SEALED, AUTO):
        raise InvalidInput(f"privacy is open, sealed or auto, not {privacy!r}; see docs/privacy.md")
    if sealed and kind != SEALED:
        raise InvalidInput(f"a query is sealed, or its privacy is {kind}; leave one of them out")
    if kind == AUTO and fixed:
        raise InvalidInput("privacy auto chooses the assurance as well; leave one of them out")
    if kind != AUTO and sensitive:
        raise InvalidInput("a sensitivity and a deadline are for privacy auto, which chooses by it")
    return kind


def make_order(
    model: Model, assurance: Assurance | str, sealed: bool, replicas: int | None
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
    if not model.card.reference_string:
        return  # without circuits, which the market says
    hides = model.card.circuits is not CircuitKind.PUBLIC
    if sealed and not hides:
        raise InvalidInput(
            f"proofs of {model.name} show the input: ask a version with hashed circuits (`nesa "
            "model circuits`), or for AGREED or CHALLENGED"
        )
    if hides and not sealed:
        raise InvalidInput(
            f"proofs of {model.name} hide the input: ask a sealed query, or its public version"
        )


def read_assurance(assurance: Assurance | str) -> Assurance:
    """The assurance of that name.

    Raises:
        InvalidInput: there is none.
    """
    if isinstance(assurance, Assurance):
        return assurance
    try:
        return Assurance[assurance.upper()]
    except KeyError:
        known = ", ".join(kind.name for kind in Assurance)
        raise InvalidInput(f"{assurance!r} is no assurance; choose one of {known}") from None


def choose_content_key(given: bytes | None, sealed: bool) -> bytes | None:
    """The key that a query is sealed with: the caller's, else a new one; None for an open query.

    Raises:
        InvalidInput: it is no key, or there is nothing to seal.
    """
    if not sealed:
        if given is not None:
            raise InvalidInput("a content key is for sealed queries; ask a sealed one")
        return None
    key = secrets.token_bytes(sealing.CONTENT_KEY_BYTES) if given is None else given
    if len(key) != sealing.CONTENT_KEY_BYTES:
        raise InvalidInput(f"a content key has {sealing.CONTENT_KEY_BYTES} bytes, not {len(key)}")
    return key


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
