"""What shows that a member of a session signed wrong sums: its statement, and the share it is of.

The share's digits are uniformly random by themselves. Whoever holds the other share of the same
value has the value from both: a court shows digits to everybody, so to the other group too. Only a
share that was discarded before it blinded anything has no other one, and gives nothing away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from nesa.models.disputes.parties import Defender
from nesa.models.judging import Witness
from nesa.privacy.shared.products import Product
from nesa.privacy.shared.statements import is_signed, statement_of
from nesa.protocol import cbor
from nesa.protocol.errors import InvalidInput, InvalidMessage, InvalidTensor, WrongShare
from nesa.protocol.ids import VersionId
from nesa.protocol.messages import MAX_TENSOR_BYTES
from nesa.protocol.shapes import WORD, Shape, blob, record, uint
from nesa.protocol.statements import (
    MAX_STATEMENT_BYTES,
    Statement,
    decode_statement,
    encode_statement,
)

MAX_EVIDENCE_BYTES: Final = MAX_TENSOR_BYTES + MAX_STATEMENT_BYTES + 256


@dataclass(frozen=True, slots=True)
class ShareEvidence:
    """One member's statement about a product with version `version_id`, and the digits of the
    share that it is about, as canonical bytes; `is_discarded` where they never blinded a value."""

    version_id: VersionId
    statement: Statement
    digits: bytes
    is_discarded: bool = False


@dataclass(frozen=True, slots=True)
class _Stored:
    version_id: VersionId
    statement: bytes
    digits: bytes
    is_discarded: int = 0


_FIELDS: Final[dict[str, Shape[Any]]] = {
    "version_id": WORD,
    "statement": blob(MAX_STATEMENT_BYTES),
    "digits": blob(MAX_TENSOR_BYTES),
}
_UNMARKED: Final = record(_Stored, **_FIELDS)
_EVIDENCE: Final = record(_Stored, **_FIELDS, is_discarded=uint(1))


def evidence_in(failure: WrongShare, products: Sequence[VersionId]) -> tuple[ShareEvidence, ...]:
    """What a failure shows of each of its signers; `products` are the versions of a session."""
    return tuple(
        ShareEvidence(
            products[said.reveal.context.attempt], said, failure.digits, failure.is_discarded
        )
        for said in failure.statements
    )


def encode_share_evidence(evidence: ShareEvidence) -> bytes:
    """Canonical bytes, as they are kept in a file."""
    statement = encode_statement(evidence.statement)
    mark = int(evidence.is_discarded)
    stored = _Stored(evidence.version_id, statement, evidence.digits, mark)
    return cbor.encode(_EVIDENCE.pack(stored))


def decode_share_evidence(data: bytes) -> ShareEvidence:
    """The evidence that `data` encodes; whether the sums are wrong is not looked at. The share of
    an older file, which does not say whether it was discarded, counts as one that was not.

    Raises:
        InvalidMessage: too long, not canonical, or not signed by whom it names.
    """
    item = cbor.decode(data, MAX_EVIDENCE_BYTES)
    is_older = isinstance(item, list) and len(item) == len(_FIELDS)
    stored = (_UNMARKED if is_older else _EVIDENCE).unpack(item)
    statement = decode_statement(stored.statement)
    if not is_signed(statement):
        raise InvalidMessage("the statement is not signed by the member that it names")
    return ShareEvidence(stored.version_id, statement, stored.digits, bool(stored.is_discarded))


def convicting(evidence: ShareEvidence, product: Product) -> Witness:
    """The right sums of the share in evidence, once the statement is found to claim others;
    `product` is the one that the statement names.

    Raises:
        InvalidInput: it convicts nobody: it is no statement of a session, it is about another share
            than the evidence holds, or its sums are right.
    """
    said = evidence.statement.reveal
    digests, signature = (said.in_digest, said.out_digest), (said.salt, said.r, said.vs)
    signer = evidence.statement.signer
    rebuilt = statement_of(signer, said.context, said.round, *digests, *signature)
    if rebuilt != evidence.statement or said.context.shard != 0:
        raise InvalidInput("the statement is not what members of a session sign")
    try:
        witness = Witness.of_shard(product.table, 0, (evidence.digits,))
    except InvalidTensor as error:
        raise InvalidInput(f"the digits are no share of the product: {error}") from error
    ours = Defender(witness, 0).charge
    if ours.in_digest != said.in_digest:
        raise InvalidInput("the statement is about another share than the one in the file")
    if ours.out_digest == said.out_digest:
        raise InvalidInput("the sums that were signed are right: there is nothing to sue for")
    return witness
