# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Committee
@license AGPL-3.0-only
@notice Judges reports about queries; see `ICommittee`.
@dev Calls the stake vault for the seats that a draw names, and for proofs the registry, which knows
     the verifiers, and the router to them.
@custom:invariant 1. Only drawn members are ever payees:
    tests/invariants/test_query_market.py::QueryMarketMachine.only_drawn_members_are_paid
@custom:kill No switch and no state; a market without it answers nothing and refunds.
"""
from ..interfaces import ICommittee
from ..interfaces import IModelRegistry
from ..interfaces import IProofRouter
from ..interfaces import IProtocolParameters
from ..interfaces import IQueryMarket
from ..interfaces import IStakeVault

implements: ICommittee

from ..lib import absence
from ..lib import attestation
from ..lib import draw
from ..lib import query_terms
from ..lib import signature
from ..lib import tenure

# Where in a report the words of one shard are, and whom they pay.
struct Part:
    paid: uint256  # a bit for each position
    unpaid: uint256  # index of the first commitment of a member who is not paid
    results: uint256  # index of the first result
    end: uint256  # index behind the last

# What one shard's report amounts to.
struct Judgement:
    outcome: IQueryMarket.ShardOutcome
    payees: DynArray[uint256, 8]

# How many seats a report is about, and which slots their spares fill; no absences when it pays none.
struct Places:
    wanted: uint256
    absences: uint256  # see `lib/absence.vy`

# What goes into a shard and what comes out: packed edges, or digests.
struct Boundary:
    input: bytes32
    output: bytes32

# Index that stands for the oracle seats wherever a shard index is asked for.
ORACLE_SHARD: constant(uint256) = 8
MAX_SHARDS: constant(uint256) = 8
MAX_MEMBERS: constant(uint256) = 8

# Words of one shard in a report, see `ICommittee`.
HEAD_WORDS: constant(uint256) = 2
RESULT_WORDS: constant(uint256) = 3
MAX_REPORT_WORDS: constant(uint256) = (
    MAX_SHARDS * HEAD_WORDS + query_terms.MAX_MEMBER_SLOTS * RESULT_WORDS
)
PAID_BITS: constant(uint256) = 8
PAID_MASK: constant(uint256) = 2**8 - 1

# Slots that one call to the vault takes.
SLOTS_PER_CALL: constant(uint256) = 16
# 1, 1, 2, 4, 8 and three times 16 slots are the 64 that a draw looks at.
MAX_BATCHES: constant(uint256) = 8

MAX_PROVED_SHARDS: constant(uint256) = 4

VAULT: immutable(IStakeVault)
REGISTRY: immutable(IModelRegistry)
ROUTER: immutable(IProofRouter)


@deploy
def __init__(vault: IStakeVault, registry: IModelRegistry, router: IProofRouter):
    """
    @notice Binds the committee to the contracts below it for good.
    @param vault The stake vault whose seats are drawn.
    @param registry Versions of models and their verifiers.
    @param router Proofs.
    """
    VAULT = vault
    REGISTRY = registry
    ROUTER = router


# === Market ===


@external
@view
def check(
    market: address,
    query: IQueryMarket.Query,
    seed: bytes32,
    report: DynArray[bytes32, MAX_REPORT_WORDS],
    payload_hash: bytes32,
    reporter: address,
) -> ICommittee.Verdict:
    """
    @notice Checks what was reported of all shards and says who earned what; see `ICommittee`.
    """
    draw_seed: bytes32 = draw.query_seed(market, query.query_id, query.attempt, seed)
    verdict: ICommittee.Verdict = empty(ICommittee.Verdict)
    verdict.oracle = self._oracle(query, draw_seed, reporter)
    work: attestation.Work = self._work(market, query, seed)
    at: uint256 = 0
    for shard: uint256 in range(query.shards, bound=MAX_SHARDS):
        part: Part = self._part(query, report, at)
        work.shard = shard
        work.round = convert(report[at], uint256) >> PAID_BITS
        work.out_digest = report[at + 1]
        payload: bytes32 = self._payload(query, shard, payload_hash)
        judgement: Judgement = self._judge(query, draw_seed, work, report, part, payload)
        verdict.shards.append(judgement.outcome)
        for payee: uint256 in judgement.payees:
            verdict.payees.append(payee)
        work.in_digest = work.out_digest
        at = part.end
    assert at == len(report), "committee: report too long"
    return verdict


@external
@view
def check_proved(
    market: address,
    query: IQueryMarket.Query,
    seed: bytes32,
    report: DynArray[bytes32, MAX_REPORT_WORDS],
    output: Bytes[512],
    tensors: DynArray[Bytes[512], MAX_PROVED_SHARDS],
    proofs: DynArray[Bytes[4608], MAX_PROVED_SHARDS],
    reporter: address,
) -> ICommittee.Verdict:
    """
    @notice Checks what was reported and proved of all shards; see `ICommittee`.
    @dev Calls `check` from outside: an internal function would cost every other report its copies.
    """
    assert len(tensors) == query.shards, "committee: wrong tensor count"
    assert len(proofs) == query.shards, "committee: wrong proof count"
    verdict: ICommittee.Verdict = staticcall ICommittee(self).check(
        market, query, seed, report, keccak256(output), reporter
    )
    in_digest: bytes32 = query.input_digest
    for i: uint256 in range(query.shards, bound=MAX_PROVED_SHARDS):
        result: Bytes[512] = output
        if i + 1 < query.shards:
            result = tensors[i + 1]
        proved: Boundary = self._verify(query.version_id, i, tensors[i], result, proofs[i])
        assert proved.input == in_digest, "committee: proof of other input"
        assert proved.output == verdict.shards[i].out_digest, "committee: proof of other output"
        in_digest = proved.output
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
) -> uint256:
    """
    @notice Checks the work of a member that a report left out; see `ICommittee`.
    """
    assert shard < query.shards, "committee: no such shard"
    assert result.position < MAX_MEMBERS, "committee: no such place"
    settled: IQueryMarket.ShardOutcome = outcome.shards[shard]
    work: attestation.Work = self._settled_work(market, query, outcome, shard)
    set_digest: bytes32 = attestation.set_digest(work, commitments)
    assert set_digest == settled.set_digest, "committee: another set"

    draw_seed: bytes32 = draw.query_seed(market, query.query_id, query.attempt, outcome.seed)
    places: Places = self._places(work, query, 1 << result.position)
    members: DynArray[uint256, 8] = self._draw(query, draw_seed, shard, places.wanted)
    payload: bytes32 = self._payload(query, shard, outcome.output_hash)
    attested: bytes32 = attestation.attestation_hash(work, payload, set_digest)
    member: uint256 = members[result.position]
    opened: bytes32 = attestation.commitment(work, tenure.signer(member), result.salt)
    slot: uint256 = self._slot(query, places, result.position)
    assert opened == commitments[slot], "committee: not committed"
    self._check_signed(member, attested, result.r, result.vs)
    return tenure.operator_number(member)


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
    drawn: DynArray[uint256, 8] = self._draw(query, draw_seed, shard, min(wanted, MAX_MEMBERS))
    members: DynArray[IStakeVault.Seat, 8] = []
    for member: uint256 in drawn:
        members.append(
            IStakeVault.Seat(
                operator=staticcall VAULT.operator_at(tenure.operator_number(member)),
                signer=tenure.signer(member),
                from_epoch=tenure.from_epoch(member),
                to_epoch=tenure.to_epoch(member),
            )
        )
    return members


# === Reports ===


@internal
@view
def _verify(
    version_id: bytes32, shard: uint256, input: Bytes[512], output: Bytes[512], proof: Bytes[4608]
) -> Boundary:
    verifier: address = empty(address)
    edges: Boundary = empty(Boundary)
    verifier, edges.input, edges.output = staticcall REGISTRY.proof_terms(version_id, shard)
    digests: Boundary = empty(Boundary)
    digests.input, digests.output = staticcall ROUTER.verify(
        verifier, edges.input, edges.output, input, output, proof
    )
    return digests


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
@pure
def _part(
    query: IQueryMarket.Query, report: DynArray[bytes32, MAX_REPORT_WORDS], at: uint256
) -> Part:
    assert at + HEAD_WORDS <= len(report), "committee: shard missing"
    paid: uint256 = convert(report[at], uint256) & PAID_MASK
    count: uint256 = 0
    for position: uint256 in range(MAX_MEMBERS):
        count += (paid >> position) & 1
    assert count >= attestation.quorum(query.replicas), "committee: no quorum"
    assert count <= query.replicas, "committee: too many results"

    part: Part = empty(Part)
    part.paid = paid
    part.unpaid = at + HEAD_WORDS
    part.results = part.unpaid + query.replicas - count
    part.end = part.results + RESULT_WORDS * count
    assert part.end <= len(report), "committee: report too short"
    return part


@internal
@view
def _judge(
    query: IQueryMarket.Query,
    draw_seed: bytes32,
    work: attestation.Work,
    report: DynArray[bytes32, MAX_REPORT_WORDS],
    part: Part,
    payload: bytes32,
) -> Judgement:
    places: Places = self._places(work, query, part.paid)
    members: DynArray[uint256, 8] = self._draw(query, draw_seed, work.shard, places.wanted)
    assert len(members) == places.wanted, "committee: too few seats"
    commitments: DynArray[bytes32, 8] = []
    if places.absences == 0:
        commitments = self._set(work, report, part, members)
    else:
        commitments = self._set_with_spares(work, query, report, part, members, places)
    set_digest: bytes32 = attestation.set_digest(work, commitments)
    attested: bytes32 = attestation.attestation_hash(work, payload, set_digest)
    return Judgement(
        outcome=IQueryMarket.ShardOutcome(
            round=work.round,
            out_digest=work.out_digest,
            set_digest=set_digest,
            members_digest=self._members_digest(members),
            paid=part.paid,
        ),
        payees=self._payees(attested, report, part, members),
    )


@internal
@view
def _set(
    work: attestation.Work,
    report: DynArray[bytes32, MAX_REPORT_WORDS],
    part: Part,
    members: DynArray[uint256, 8],
) -> DynArray[bytes32, 8]:
    # The commitments in draw order. Members before a lone prover had none.
    commitments: DynArray[bytes32, 8] = []
    unpaid: uint256 = part.unpaid
    result: uint256 = part.results
    paid: uint256 = part.paid
    for member: uint256 in members:
        if paid & 1 == 1:
            signer: address = tenure.signer(member)
            commitments.append(attestation.commitment(work, signer, report[result]))
            result += RESULT_WORDS
        elif unpaid < part.results:
            commitments.append(report[unpaid])
            unpaid += 1
        paid >>= 1
    return commitments


@internal
@view
def _set_with_spares(
    work: attestation.Work,
    query: IQueryMarket.Query,
    report: DynArray[bytes32, MAX_REPORT_WORDS],
    part: Part,
    members: DynArray[uint256, 8],
    places: Places,
) -> DynArray[bytes32, 8]:
    # The commitments in the order of the slots, some of which spares fill.
    commitments: DynArray[bytes32, 8] = []
    for slot: uint256 in range(query.replicas, bound=MAX_MEMBERS):
        commitments.append(empty(bytes32))
    filled: uint256 = 0
    result: uint256 = part.results
    for position: uint256 in range(len(members), bound=MAX_MEMBERS):
        if (part.paid >> position) & 1 == 1:
            slot: uint256 = self._slot(query, places, position)
            assert (filled >> slot) & 1 == 0, "committee: slot filled twice"
            filled |= 1 << slot
            signer: address = tenure.signer(members[position])
            commitments[slot] = attestation.commitment(work, signer, report[result])
            result += RESULT_WORDS
    unpaid: uint256 = part.unpaid
    for slot: uint256 in range(query.replicas, bound=MAX_MEMBERS):
        if (filled >> slot) & 1 == 0:
            commitments[slot] = report[unpaid]
            unpaid += 1
    return commitments


@internal
@pure
def _payees(
    attested: bytes32,
    report: DynArray[bytes32, MAX_REPORT_WORDS],
    part: Part,
    members: DynArray[uint256, 8],
) -> DynArray[uint256, 8]:
    # Whom the paid members work for, once each of them is found to have signed.
    payees: DynArray[uint256, 8] = []
    result: uint256 = part.results
    paid: uint256 = part.paid
    for member: uint256 in members:
        if paid & 1 == 1:
            self._check_signed(member, attested, report[result + 1], report[result + 2])
            payees.append(tenure.payee(member))
            result += RESULT_WORDS
        paid >>= 1
    return payees


@internal
@pure
def _check_signed(member: uint256, attested: bytes32, r: bytes32, vs: bytes32):
    recovered: address = signature.signer_of(attested, r, vs)
    assert recovered == tenure.signer(member), "committee: not attested"


# === Draw ===


@internal
@view
def _places(work: attestation.Work, query: IQueryMarket.Query, paid: uint256) -> Places:
    # How many seats to draw. The members of an agreed query are as many as its replicas; a spare
    # has a slot once a member was found absent. Behind the one prover stand spares, each of whom
    # may step in once its own turn has come.
    if query.assurance == IQueryMarket.Assurance.PROVED:
        return Places(wanted=self._provers(query, paid), absences=0)
    if paid >> query.replicas == 0:
        return Places(wanted=query.replicas, absences=0)

    key: bytes32 = absence.work_id(work.market, work.query_id, work.attempt, work.shard)
    absences: uint256 = staticcall VAULT.absences(key)
    last: uint256 = self._last(paid)
    assert last < query.replicas + absence.count(absences), "committee: no such member"
    return Places(wanted=last + 1, absences=absences)


@internal
@view
def _provers(query: IQueryMarket.Query, paid: uint256) -> uint256:
    position: uint256 = self._last(paid)
    rules: IProtocolParameters.QueryParameters = query_terms.rules(query)
    assert position < rules.prover_turns, "committee: no such prover"
    begins: uint256 = query.opened_at + position * rules.prover_turn
    assert block.timestamp >= begins, "committee: prover out of turn"
    return position + 1


@internal
@pure
def _last(paid: uint256) -> uint256:
    # The position of the highest bit.
    position: uint256 = 0
    for higher: uint256 in range(1, MAX_MEMBERS):
        if paid >> higher == 1:
            position = higher
    return position


@internal
@pure
def _slot(query: IQueryMarket.Query, places: Places, position: uint256) -> uint256:
    # Where in the set a member's commitment stands.
    if position < query.replicas:
        return position
    return absence.slot(places.absences, position - query.replicas)


@internal
@view
def _oracle(query: IQueryMarket.Query, draw_seed: bytes32, reporter: address) -> uint256:
    # Who earns the oracle's share. After the last turn, or when no further oracle is seated,
    # anybody may report.
    rules: IProtocolParameters.QueryParameters = query_terms.rules(query)
    turn: uint256 = (block.timestamp - query.opened_at) // rules.oracle_turn
    if turn < min(rules.oracle_turns, MAX_MEMBERS):
        oracles: DynArray[uint256, 8] = self._draw(query, draw_seed, ORACLE_SHARD, turn + 1)
        if len(oracles) > turn:
            assert tenure.signer(oracles[turn]) == reporter, "committee: not your turn"
            return tenure.payee(oracles[turn])

    operator: address = staticcall VAULT.operator_of(reporter)
    if operator == empty(address):
        return convert(reporter, uint256)
    return tenure.payee_of(staticcall VAULT.operator_number(operator))


@internal
@view
def _draw(
    query: IQueryMarket.Query, draw_seed: bytes32, shard: uint256, wanted: uint256
) -> DynArray[uint256, 8]:
    # The first `wanted` active seats in draw order, fewer when the draw runs out of slots. Asks
    # for as many slots as are wanted first, and doubles what it has seen while some are inactive.
    version_id: bytes32 = query.version_id if shard < ORACLE_SHARD else empty(bytes32)
    slots: uint256 = query_terms.seat_count(query.seat_counts, shard)
    order: DynArray[uint256, 64] = draw.slots_in_order(slots)
    drawn: DynArray[uint256, 8] = []
    seen: uint256 = 0
    for _: uint256 in range(MAX_BATCHES):
        upto: uint256 = min(seen + min(max(seen, wanted), SLOTS_PER_CALL), slots)
        order = draw.shuffled(draw_seed, shard, order, seen, upto)
        batch: DynArray[uint256, 16] = []
        for i: uint256 in range(seen, upto, bound=SLOTS_PER_CALL):
            batch.append(order[i])
        for seat: uint256 in staticcall VAULT.tenures(version_id, shard, batch):
            if len(drawn) < wanted and tenure.is_active(seat, query.epoch):
                drawn.append(seat)
        seen = upto
        if len(drawn) == wanted or seen == slots:
            break
    return drawn


@internal
@pure
def _members_digest(members: DynArray[uint256, 8]) -> bytes32:
    signers: DynArray[address, 8] = []
    for member: uint256 in members:
        signers.append(tenure.signer(member))
    return attestation.members_digest(signers)
