# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Dispute Court
@license AGPL-3.0-only
@notice Takes stake on evidence that anybody can send. So far that is equivocation: one member's
        signatures under two outputs of one input.
@dev An honest member computes one output of an input, whatever round it is in. Signatures under one
     query number may stem from two histories of the chain and so from two models; a commitment
     holds the seed block, hence each statement has to open its own.
@custom:invariant 1. Two statements convict only when both open a commitment to the same input under
       the same seed:
    tests/contracts/disputes/test_show_equivocation.py::test_a_changed_field_convicts_nobody
    2. A signer loses one seat's stake for a shard of a query, however often it is shown:
    tests/contracts/disputes/test_show_equivocation.py::test_nobody_is_convicted_twice
    3. Evidence that was read in somebody's transaction earns nothing:
    tests/contracts/disputes/test_show_equivocation.py::test_read_evidence_comes_too_late
@custom:kill No switch. Nothing pauses a slash.
"""
from ..interfaces import IDisputeCourt
from ..interfaces import IProtocolParameters
from ..interfaces import IStakeVault

implements: IDisputeCourt

from ..lib import attestation
from ..lib import parameter_words
from ..lib import signature

PROTOCOL_VERSION: constant(uint256) = 1
CLAIM_DOMAIN: constant(bytes32) = keccak256("nesa.claim.v1")

MARKET: immutable(address)
VAULT: immutable(IStakeVault)
PARAMETERS: immutable(IProtocolParameters)

_announced_at: HashMap[bytes32, uint256]
_convicted: HashMap[uint256, HashMap[uint256, HashMap[address, bool]]]


@deploy
def __init__(market: address, vault: address, parameters: address):
    """
    @notice Binds the court to one market's signatures.
    @param market The query market.
    @param vault The stake vault, which has to name this court as its slasher.
    @param parameters The protocol parameters.
    """
    assert market != empty(address), "court: no market"
    assert vault != empty(address), "court: no vault"
    assert parameters != empty(address), "court: no parameters"
    MARKET = market
    VAULT = IStakeVault(vault)
    PARAMETERS = IProtocolParameters(parameters)


@external
def announce(claim: bytes32):
    """
    @notice Reserves evidence for the caller; see `IDisputeCourt`.
    """
    assert self._announced_at[claim] == 0, "court: announced before"
    self._announced_at[claim] = block.number
    log IDisputeCourt.EvidenceAnnounced(challenger=msg.sender, claim=claim)


@external
def show_equivocation(
    shard: IDisputeCourt.Shard, first: IDisputeCourt.Statement, second: IDisputeCourt.Statement
) -> uint256:
    """
    @notice Convicts a member that signed two outputs of one input; see `IDisputeCourt`.
    """
    self._check_announced(keccak256(abi_encode(shard, first, second)))
    assert first.out_digest != second.out_digest, "court: one output"
    signer: address = self._signer_of(shard, first)
    assert signer == self._signer_of(shard, second), "court: two signers"
    operator: address = staticcall VAULT.operator_of(signer)
    assert operator != empty(address), "court: no operator"
    assert not self._convicted[shard.query_id][shard.shard][signer], "court: convicted before"

    self._convicted[shard.query_id][shard.shard][signer] = True

    stake: uint256 = self._seat_stake()
    taken: uint256 = extcall VAULT.slash(operator, stake, msg.sender, stake)

    log IDisputeCourt.EquivocationShown(
        operator=operator,
        challenger=msg.sender,
        query_id=shard.query_id,
        shard=shard.shard,
        taken=taken,
    )
    return taken


# === Views ===


@external
@view
def claim_of(challenger: address, evidence: bytes32) -> bytes32:
    """
    @notice What is announced; see `IDisputeCourt`.
    """
    return self._claim(challenger, evidence)


@external
@view
def announced_at(claim: bytes32) -> uint256:
    """
    @notice When a claim was announced; see `IDisputeCourt`.
    """
    return self._announced_at[claim]


@external
@view
def is_convicted(query_id: uint256, shard: uint256, signer: address) -> bool:
    """
    @notice Whether a signer was convicted; see `IDisputeCourt`.
    """
    return self._convicted[query_id][shard][signer]


# === Internal ===


@internal
@view
def _claim(challenger: address, evidence: bytes32) -> bytes32:
    return keccak256(
        abi_encode(CLAIM_DOMAIN, PROTOCOL_VERSION, chain.id, self, challenger, evidence)
    )


@internal
@view
def _check_announced(evidence: bytes32):
    # Who reads the evidence in a waiting transaction can announce it in that block at the earliest.
    at: uint256 = self._announced_at[self._claim(msg.sender, evidence)]
    assert at != 0, "court: not announced"
    assert at < block.number, "court: announced just now"


@internal
@view
def _signer_of(
    shard: IDisputeCourt.Shard, statement: IDisputeCourt.Statement
) -> address:
    # Who signed the statement, provided that its commitment in the set is to this work.
    assert statement.position < len(statement.commitments), "court: no such place"
    work: attestation.Work = attestation.Work(
        market=MARKET,
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


@internal
@view
def _seat_stake() -> uint256:
    parameters: uint256 = 0
    limits: uint256 = 0
    parameters, limits = staticcall PARAMETERS.request_terms()
    return parameter_words.seat_stake(limits)
