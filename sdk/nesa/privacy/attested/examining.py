"""Whether the evidence of a seat is that of the operator on the chain, and good enough."""

from __future__ import annotations

from dataclasses import dataclass

from nesa.privacy.attested.evidence import SeatEvidence
from nesa.privacy.attested.policy import Policy, check_policy
from nesa.privacy.attested.quotes import VerifiedQuote, verify_quote
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Address


@dataclass(frozen=True, slots=True)
class OperatorOnChain:
    """What a chain says of an operator, at its newest block `head` made at second `time`.

    Its encryption keys are not asked for: a statement about one counts only while the operator uses
    it, and one is stated before it is announced. `block_hash` is that of the block which the
    evidence names, None where the chain has no such block.
    """

    chain_id: int
    vault: Address
    operator: Address
    signer: Address
    block_hash: bytes | None
    head: int
    time: int


def examine(evidence: SeatEvidence, known: OperatorOnChain, policy: Policy) -> VerifiedQuote:
    """The verified quote of evidence that is this operator's and meets the policy.

    Raises:
        InvalidMessage: the first thing that is wrong, by name.
    """
    _check_operator(evidence, known)
    found = verify_quote(evidence.quote, evidence.collateral, known.time)
    check_policy(found, evidence.binding, policy, known.head)
    return found


def _check_operator(evidence: SeatEvidence, known: OperatorOnChain) -> None:
    binding = evidence.binding
    stated = (
        ("chain", binding.chain_id, known.chain_id),
        ("stake vault", binding.vault, known.vault),
        ("operator", binding.operator, known.operator),
        ("signer", binding.signer, known.signer),
    )
    for name, said, wanted in stated:
        if said != wanted:
            raise InvalidMessage(f"the evidence is for the {name} {said}, not for {wanted}")
    if binding.block_hash != known.block_hash:
        raise InvalidMessage(
            f"the evidence names a block {binding.block_number} that this chain does not have; a "
            "quote has to be made anew after a reorganisation"
        )
