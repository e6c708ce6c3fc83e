# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Committee
@license AGPL-3.0-only
@notice Judges reports about queries; see `ICommittee`.
@dev Calls the stake vault only, for the seats that a draw names.
@custom:invariant 1. Only drawn members are ever payees:
    tests/invariants/test_query_market.py::QueryMarketMachine.only_drawn_members_are_paid
@custom:kill No switch and no state; a market without it answers nothing and refunds.
"""
from ..interfaces import ICommittee
from ..interfaces import IProtocolParameters
from ..interfaces import IQueryMarket
from ..interfaces import IStakeVault

implements: ICommittee

from ..lib import attestation
from ..lib import draw
from ..lib import query_terms

# What one shard's report amounts to.
struct Judgement:
    outcome: IQueryMarket.ShardOutcome
    payees: DynArray[address, 8]

# Index that stands for the oracle seats wherever a shard index is asked for.
ORACLE_SHARD: constant(uint256) = 8
MAX_MEMBERS: constant(uint256) = 8
# Slots that one call to the vault takes.
SLOTS_PER_CALL: constant(uint256) = 16
# 1, 1, 2, 4, 8 and three times 16 slots are the 64 that a draw looks at.
MAX_BATCHES: constant(uint256) = 8

VAULT: immutable(IStakeVault)


@deploy
def __init__(vault: IStakeVault):
    """
    @notice Binds the committee to the vault for good.
    @param vault The stake vault whose seats are drawn.
    """
    VAULT = vault


# === Market ===


@external
@view
def check(
    market: address,
    query: IQueryMarket.Query,
    seed: bytes32,
    reports: DynArray[IQueryMarket.ShardReport, 8],
    payload_hash: bytes32,
    reporter: address,
) -> ICommittee.Verdict:
    """
    @notice Checks the reports of all shards and says who earned what; see `ICommittee`.
    """
    assert len(reports) == query.shards, "committee: wrong report count"

    draw_seed: bytes32 = draw.query_seed(market, query.query_id, query.attempt, seed)
    verdict: ICommittee.Verdict = empty(ICommittee.Verdict)
    verdict.oracle = self._oracle(query, draw_seed, reporter)
    work: attestation.Work = self._work(market, query, seed)
    for report: IQueryMarket.ShardReport in reports:
        work.round = report.round
        work.out_digest = report.out_digest
        payload: bytes32 = self._payload(query, work.shard, payload_hash)
        judgement: Judgement = self._judge(query, draw_seed, work, report, payload)
        verdict.shards.append(judgement.outcome)
        for operator: address in judgement.payees:
            verdict.payees.append(operator)
        work.in_digest = report.out_digest
        work.shard += 1
    return verdict


@external
@view
def check_claim(
    market: address,
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
    shard: uint256,
    commitments: DynArray[bytes32, 8],
    result: IQueryMarket.SignedResult,
) -> address:
    """
    @notice Checks the work of a member that a report left out; see `ICommittee`.
    """
    assert shard < query.shards, "committee: no such shard"
    assert result.position < query.replicas, "committee: no such slot"
    settled: IQueryMarket.ShardOutcome = outcome.shards[shard]
    work: attestation.Work = self._settled_work(market, query, outcome, shard)
    set_digest: bytes32 = attestation.set_digest(work, commitments)
    assert set_digest == settled.set_digest, "committee: another set"

    draw_seed: bytes32 = draw.query_seed(market, query.query_id, query.attempt, outcome.seed)
    members: DynArray[IStakeVault.Seat, 8] = self._draw(query, draw_seed, shard, query.replicas)
    payload: bytes32 = self._payload(query, shard, outcome.output_hash)
    attested: bytes32 = attestation.attestation_hash(work, payload, set_digest)
    member: IStakeVault.Seat = members[result.position]
    self._check_result(work, member.signer, commitments[result.position], attested, result)
    return member.operator


# === Views ===


@external
@view
def members(
    market: address, query: IQueryMarket.Query, seed: bytes32, shard: uint256, wanted: uint256
) -> DynArray[IStakeVault.Seat, 8]:
    """
    @notice Seats drawn for a shard; see `ICommittee`.
    """
    draw_seed: bytes32 = draw.query_seed(market, query.query_id, query.attempt, seed)
    return self._draw(query, draw_seed, shard, min(wanted, MAX_MEMBERS))


# === Reports ===


@internal
@view
def _work(
    market: address, query: IQueryMarket.Query, seed: bytes32
) -> attestation.Work:
    # What the first shard's members worked on, but for their own result.
    return attestation.Work(
        market=market,
        query_id=query.query_id,
        attempt=query.attempt,
        seed=seed,
        shard=0,
        round=0,
        in_digest=query.input_digest,
        out_digest=empty(bytes32),
    )


@internal
@view
def _settled_work(
    market: address, query: IQueryMarket.Query, outcome: IQueryMarket.Outcome, shard: uint256
) -> attestation.Work:
    work: attestation.Work = self._work(market, query, outcome.seed)
    work.shard = shard
    work.round = outcome.shards[shard].round
    work.out_digest = outcome.shards[shard].out_digest
    if shard > 0:
        work.in_digest = outcome.shards[shard - 1].out_digest
    return work


@internal
@pure
def _payload(query: IQueryMarket.Query, shard: uint256, payload_hash: bytes32) -> bytes32:
    # Only the last shard's members saw what goes on chain.
    return payload_hash if shard + 1 == query.shards else empty(bytes32)


@internal
@view
def _judge(
    query: IQueryMarket.Query,
    draw_seed: bytes32,
    work: attestation.Work,
    report: IQueryMarket.ShardReport,
    payload: bytes32,
) -> Judgement:
    assert len(report.commitments) == query.replicas, "committee: wrong set size"
    assert len(report.results) >= attestation.quorum(query.replicas), "committee: no quorum"

    judgement: Judgement = empty(Judgement)
    judgement.outcome.round = report.round
    judgement.outcome.out_digest = report.out_digest
    set_digest: bytes32 = attestation.set_digest(work, report.commitments)
    judgement.outcome.set_digest = set_digest
    attested: bytes32 = attestation.attestation_hash(work, payload, set_digest)

    wanted: uint256 = self._wanted(query, report.results[0].position)
    members: DynArray[IStakeVault.Seat, 8] = self._draw(query, draw_seed, work.shard, wanted)
    assert len(members) == wanted, "committee: too few seats"
    judgement.outcome.members_digest = self._members_digest(members)

    paid: uint256 = 0
    for result: IQueryMarket.SignedResult in report.results:
        assert result.position < wanted, "committee: no such member"
        assert paid >> result.position == 0, "committee: unsorted"
        index: uint256 = min(result.position, query.replicas - 1)
        member: IStakeVault.Seat = members[result.position]
        self._check_result(work, member.signer, report.commitments[index], attested, result)
        judgement.payees.append(member.operator)
        paid |= 1 << result.position
    judgement.outcome.paid = paid
    return judgement


@internal
@view
def _check_result(
    work: attestation.Work,
    signer: address,
    committed: bytes32,
    attested: bytes32,
    result: IQueryMarket.SignedResult,
):
    opened: bytes32 = attestation.commitment(work, signer, result.salt)
    assert opened == committed, "committee: not committed"
    recovered: address = attestation.signer_of(attested, result.r, result.vs)
    assert recovered == signer, "committee: not attested"


# === Draw ===


@internal
@view
def _wanted(query: IQueryMarket.Query, position: uint256) -> uint256:
    # How many seats to draw. The members of an agreed query are as many as its replicas; behind
    # the one prover stand spares, each of whom may step in once its own turn has come.
    if query.assurance != IQueryMarket.Assurance.PROVED:
        return query.replicas

    rules: IProtocolParameters.QueryParameters = query_terms.rules(query)
    assert position < min(rules.prover_turns, MAX_MEMBERS), "committee: no such prover"
    begins: uint256 = query.opened_at + position * rules.prover_turn
    assert block.timestamp >= begins, "committee: prover out of turn"
    return position + 1


@internal
@view
def _oracle(query: IQueryMarket.Query, draw_seed: bytes32, reporter: address) -> address:
    # Who earns the oracle's share. After the last turn, or when no further oracle is seated,
    # anybody may report.
    rules: IProtocolParameters.QueryParameters = query_terms.rules(query)
    turn: uint256 = (block.timestamp - query.opened_at) // rules.oracle_turn
    if turn < min(rules.oracle_turns, MAX_MEMBERS):
        oracles: DynArray[IStakeVault.Seat, 8] = self._draw(
            query, draw_seed, ORACLE_SHARD, turn + 1
        )
        if len(oracles) > turn:
            assert oracles[turn].signer == reporter, "committee: not your turn"
            return oracles[turn].operator

    operator: address = staticcall VAULT.operator_of(reporter)
    return reporter if operator == empty(address) else operator


@internal
@view
def _draw(
    query: IQueryMarket.Query, draw_seed: bytes32, shard: uint256, wanted: uint256
) -> DynArray[IStakeVault.Seat, 8]:
    # The first `wanted` active seats in draw order, fewer when the draw runs out of slots. Asks
    # for as many slots as are wanted first, and doubles what it has seen while some are inactive.
    version_id: bytes32 = query.version_id if shard < ORACLE_SHARD else empty(bytes32)
    slots: uint256 = query_terms.seat_count(query.seat_counts, shard)
    drawn: DynArray[IStakeVault.Seat, 8] = []
    seen: uint256 = 0
    for _: uint256 in range(MAX_BATCHES):
        batch: DynArray[uint256, 16] = []
        size: uint256 = min(max(seen, wanted), SLOTS_PER_CALL)
        order: DynArray[uint256, 64] = draw.slot_order(draw_seed, shard, slots, seen + size)
        for i: uint256 in range(seen, len(order), bound=SLOTS_PER_CALL):
            batch.append(order[i])
        for seat: IStakeVault.Seat in staticcall VAULT.seats(version_id, shard, batch):
            if len(drawn) < wanted and self._is_active(seat, query.epoch):
                drawn.append(seat)
        seen += size
        if len(drawn) == wanted or len(order) < seen:
            break
    return drawn


@internal
@pure
def _is_active(seat: IStakeVault.Seat, epoch: uint256) -> bool:
    return seat.signer != empty(address) and seat.from_epoch <= epoch and epoch < seat.to_epoch


@internal
@pure
def _members_digest(members: DynArray[IStakeVault.Seat, 8]) -> bytes32:
    operators: DynArray[address, 8] = []
    for member: IStakeVault.Seat in members:
        operators.append(member.operator)
    # The first two words of the encoding are offset and length.
    return keccak256(slice(abi_encode(operators), 64, 32 * len(operators)))
