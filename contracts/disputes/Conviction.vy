# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Conviction
@license AGPL-3.0-only
@notice Asks the judges about a claim, and reads statements; see `IConviction`.
@dev No state and no owner. The judges see the version's root and the defender's own digests, so
     that neither side brings operands of its own.
@custom:invariant 1. A right claim is convicted by nobody, a wrong one by whoever has the operands:
    tests/conformance/test_element_game.py::test_the_walk_is_that_of_the_python_rules
@custom:kill No switch. It is replaced with the court that asks it.
"""
from ..interfaces import IConviction
from ..interfaces import IDisputeCourt
from ..interfaces import IElementGame
from ..interfaces import IElementJudge
from ..interfaces import IJudge

implements: IConviction

from ..lib import attestation
from ..lib import element_claims
from ..lib import operator_row
from ..lib import signature

FOLD_JUDGE: immutable(IJudge)
ELEMENT_JUDGE: immutable(IJudge)


@deploy
def __init__(fold_judge: address, element_judge: address):
    """
    @notice Binds the judges for good.
    @param fold_judge Judges operators that add or compare.
    @param element_judge Judges the others.
    """
    assert fold_judge != empty(address), "conviction: no fold judge"
    assert element_judge != empty(address), "conviction: no element judge"
    FOLD_JUDGE = IJudge(fold_judge)
    ELEMENT_JUDGE = IJudge(element_judge)


@external
@view
def expect_wrong(shown: IConviction.Accusation, stands: IElementGame.Position):
    """
    @notice Reverts unless a judge finds another integer than was claimed; see `IConviction`.
    """
    # Large values stay in this frame: each copy into another would be paid for in memory.
    claim: IElementGame.Claim = element_claims.claim(
        stands, shown.row.data, shown.data, shown.choice
    )
    leaf: element_claims.Leaf = element_claims.leaf(shown.row.data)
    # The digests are those that the defender committed for what the row reads.
    assert len(shown.tensors) == len(leaf.inputs), "conviction: not a digest each"
    numbers: DynArray[uint256, element_claims.MAX_SHOWN] = self._numbers(leaf.inputs)
    element_claims.expect_values(stands.trace, numbers, shown.tensors, shown.siblings)
    question: IJudge.Question = IJudge.Question(
        operators_root=stands.charge.operators_root,
        rows=stands.trace.leaves,
        row=shown.row.data,
        path=shown.row.path,
        element=claim.element,
        tensors=shown.tensors,
    )
    is_wrong: bool = False
    if leaf.opcode == operator_row.ARG_MAX:
        is_wrong = staticcall IElementJudge(ELEMENT_JUDGE.address).is_refuted(
            question, claim.value, shown.place, shown.openings[0]
        )
    else:
        judge: IJudge = ELEMENT_JUDGE
        if operator_row.is_sum(leaf.opcode) or operator_row.is_largest(leaf.opcode):
            judge = FOLD_JUDGE
        found: int256 = staticcall judge.evaluate(
            question, claim.first, claim.stop, shown.openings
        )
        is_wrong = found != claim.value
    assert is_wrong, "court: nothing is wrong"


@external
@view
def author(
    market: address, shard: IDisputeCourt.Shard, statement: IDisputeCourt.Statement
) -> address:
    """
    @notice Who signed a statement; see `IConviction`.
    """
    assert statement.position < len(statement.commitments), "court: no such place"
    work: attestation.Work = attestation.Work(
        market=market,
        query_id=shard.query_id,
        attempt=shard.attempt,
        seed=shard.seed,
        shard=shard.shard,
        round=statement.round,
        in_digest=shard.in_digest,
        out_digest=statement.out_digest,
    )
    set_digest: bytes32 = attestation.set_digest(work, statement.commitments)
    attested: bytes32 = attestation.attestation_hash(work, statement.payload_hash, set_digest)
    signer: address = signature.signer_of(attested, statement.r, statement.vs)
    assert signer != empty(address), "court: no signature"
    opened: bytes32 = attestation.commitment(work, signer, statement.salt)
    assert opened == statement.commitments[statement.position], "court: not committed"
    return signer


# === Internals ===


@internal
@pure
def _numbers(inputs: DynArray[uint32, 16]) -> DynArray[uint256, element_claims.MAX_SHOWN]:
    numbers: DynArray[uint256, element_claims.MAX_SHOWN] = []
    for number: uint32 in inputs:
        numbers.append(convert(number, uint256))
    return numbers
