# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Summons
@license AGPL-3.0-only
@notice Calls silent members of committees to answer on chain; see `ISummons` for what each function
        promises.
@dev Nobody can see from the chain whether a message was sent, so silence is what a member does not
     say here. An answer proves presence, not work: what a commitment hides cannot be checked.
@custom:invariant 1. The token balance is the bonds of the open summonses, and more only by donations:
    tests/invariants/test_summons.py::SummonsMachine.bonds_are_those_of_open_summonses
    2. Only who was summoned and did not answer has a miss:
    tests/invariants/test_summons.py::SummonsMachine.misses_are_unanswered_summonses
    3. The spares of a committee have the slots that were found empty, in that order:
    tests/invariants/test_summons.py::SummonsMachine.spares_fill_absent_slots
    4. A seat that ends here had its misses, and keeps its stake:
    tests/invariants/test_summons.py::SummonsMachine.jailed_seats_had_their_misses
@custom:kill No switch. Without summonses, queries with too few members are refunded.
"""
from ethereum.ercs import IERC20

from ..interfaces import ICommittee
from ..interfaces import IQueryMarket
from ..interfaces import IStakeVault
from ..interfaces import ISummons

implements: ISummons

from ..lib import absence
from ..lib import signature

# What a summoned member signs.
ANSWER_TYPE: constant(bytes32) = keccak256(
    "SummonsAnswer(bytes32 summons,bytes32 commitment)"
)

MAX_MEMBERS: constant(uint256) = 8

# Blocks whose hash the chain remembers.
HASH_BLOCKS: constant(uint256) = 256

# What stands in the place of a summons that is over.
CLOSED: constant(bytes32) = keccak256("nesa.summons.closed")

# Periods with a miss, 32 bits each, the newest lowest.
PERIOD_BITS: constant(uint256) = 32
PERIOD_MASK: constant(uint256) = 2**32 - 1
MAX_MISSES: constant(uint256) = 8

TOKEN: immutable(IERC20)
MARKET: immutable(IQueryMarket)
COMMITTEE: immutable(ICommittee)
VAULT: immutable(IStakeVault)
RULES: immutable(ISummons.Rules)

# Hash of the summons of each position of a committee.
_calls: HashMap[bytes32, HashMap[uint256, bytes32]]

# By version and operator, see above.
_misses: HashMap[bytes32, HashMap[address, uint256]]


@deploy
def __init__(
    token: IERC20,
    market: IQueryMarket,
    committee: ICommittee,
    vault: IStakeVault,
    rules: ISummons.Rules,
):
    """
    @notice Binds the contract to those below it, and its rules, for good.
    @param token NES.
    @param market The market whose queries it is about.
    @param committee The market's committee.
    @param vault The stake vault.
    @param rules Clocks, bond and limits.
    """
    assert rules.patience != 0, "summons: no patience"
    assert rules.answer_window != 0, "summons: no time to answer"
    assert rules.bond != 0, "summons: no bond"
    assert rules.period != 0, "summons: no period"
    assert rules.jail_misses != 0, "summons: no misses"
    assert rules.jail_misses <= MAX_MISSES, "summons: too many misses"
    assert rules.jail_periods >= rules.jail_misses, "summons: too few periods"

    TOKEN = token
    MARKET = market
    COMMITTEE = committee
    VAULT = vault
    RULES = rules


# === Summonses ===


@external
def summon(query: IQueryMarket.Query, shard: uint256, position: uint256) -> ISummons.Call:
    """
    @notice Calls a member of a committee of an open query to answer.
    """
    assert staticcall MARKET.verify_terms(query), "summons: not open"
    proved: bool = query.assurance == IQueryMarket.Assurance.PROVED
    assert not proved, "summons: provers have turns"
    assert shard < query.shards, "summons: no such shard"
    work: bytes32 = self._work(query.query_id, query.attempt, shard)
    assert self._calls[work][position] == empty(bytes32), "summons: summoned before"
    slot: uint256 = self._slot(query, work, position)
    deadline: uint256 = block.timestamp + RULES.answer_window
    assert deadline <= query.answer_deadline, "summons: too late"

    member: IStakeVault.Seat = self._member(query, shard, position)
    call: ISummons.Call = ISummons.Call(
        query_id=query.query_id,
        attempt=query.attempt,
        shard=shard,
        replicas=query.replicas,
        position=position,
        slot=slot,
        version_id=query.version_id,
        operator=member.operator,
        signer=member.signer,
        summoner=msg.sender,
        deadline=deadline,
    )
    self._calls[work][position] = self._hash(call)
    log ISummons.MemberSummoned(
        query_id=call.query_id, operator=call.operator, summoner=call.summoner, call=call
    )

    assert extcall TOKEN.transferFrom(msg.sender, self, RULES.bond), "summons: bond not paid"
    return call


@external
def answer(call: ISummons.Call, commitment: bytes32, r: bytes32, vs: bytes32):
    """
    @notice Brings the answer of a summoned member; its operator gets the bond.
    """
    assert block.timestamp <= call.deadline, "summons: deadline passed"
    signed: bytes32 = self._answer_hash(call, commitment)
    assert signature.signer_of(signed, r, vs) == call.signer, "summons: not signed"
    self._end(call)

    log ISummons.SummonsAnswered(
        query_id=call.query_id,
        operator=call.operator,
        attempt=call.attempt,
        shard=call.shard,
        position=call.position,
        commitment=commitment,
    )

    self._return_bond(call.operator)


@external
def declare_absent(call: ISummons.Call):
    """
    @notice Finds a member absent that did not answer in time.
    """
    assert block.timestamp > call.deadline, "summons: not over"
    work: bytes32 = self._end(call)
    self._add_miss(call.version_id, call.operator)
    # The last place of a draw has nobody behind it.
    filled: uint256 = call.replicas + absence.count(staticcall VAULT.absences(work))
    if filled < MAX_MEMBERS:
        extcall VAULT.record_absence(work, call.slot)

    log ISummons.MemberAbsent(
        query_id=call.query_id,
        operator=call.operator,
        attempt=call.attempt,
        shard=call.shard,
        position=call.position,
        slot=call.slot,
        misses=self._count(call.version_id, call.operator),
    )

    self._return_bond(call.summoner)


@external
def jail(version_id: bytes32, operator: address):
    """
    @notice Ends a seat with too many misses; they start from zero then.
    """
    count: uint256 = self._count(version_id, operator)
    assert count >= RULES.jail_misses, "summons: too few misses"
    self._misses[version_id][operator] = 0

    log ISummons.SeatJailed(version_id=version_id, operator=operator)

    extcall VAULT.jail(version_id, operator)


# === Views ===


@external
@view
def rules() -> ISummons.Rules:
    """
    @notice Clocks, bond and limits; they never change.
    """
    return RULES


@external
@view
def misses(version_id: bytes32, operator: address) -> uint256:
    """
    @notice Periods with a miss that still count.
    """
    return self._count(version_id, operator)


@external
@view
def answer_hash(call: ISummons.Call, commitment: bytes32) -> bytes32:
    """
    @notice What a summoned member signs.
    """
    return self._answer_hash(call, commitment)


@external
@view
def is_open(call: ISummons.Call) -> bool:
    """
    @notice Whether a summons waits for its answer or for its end.
    """
    work: bytes32 = self._work(call.query_id, call.attempt, call.shard)
    return self._calls[work][call.position] == self._hash(call)


# === Internals ===


@internal
@view
def _work(query_id: uint256, attempt: uint256, shard: uint256) -> bytes32:
    return absence.work_id(MARKET.address, query_id, attempt, shard)


@internal
@view
def _slot(query: IQueryMarket.Query, work: bytes32, position: uint256) -> uint256:
    # Which slot a member fills, once it had its time there.
    slot: uint256 = position
    since: uint256 = query.opened_at
    if position >= query.replicas:
        absences: uint256 = staticcall VAULT.absences(work)
        slot = absence.slot(absences, position - query.replicas)
        since = absence.since(absences, position - query.replicas)
    assert block.timestamp >= since + RULES.patience, "summons: too early"
    return slot


@internal
@view
def _member(
    query: IQueryMarket.Query, shard: uint256, position: uint256
) -> IStakeVault.Seat:
    seed: bytes32 = self._seed(query.seed_block)
    drawn: DynArray[IStakeVault.Seat, 8] = staticcall COMMITTEE.members(
        MARKET.address, query, seed, shard, position + 1
    )
    assert len(drawn) > position, "summons: no such member"
    return drawn[position]


@internal
@view
def _seed(seed_block: uint256) -> bytes32:
    assert block.number > seed_block, "summons: no seed yet"
    if block.number - seed_block <= HASH_BLOCKS:
        return blockhash(seed_block)
    seed: bytes32 = staticcall MARKET.pinned_seed(seed_block)
    assert seed != empty(bytes32), "summons: seed is gone"
    return seed


@internal
@view
def _answer_hash(call: ISummons.Call, commitment: bytes32) -> bytes32:
    message: bytes32 = keccak256(abi_encode(ANSWER_TYPE, self._hash(call), commitment))
    return signature.typed_hash(self, message)


@internal
@pure
def _hash(call: ISummons.Call) -> bytes32:
    return keccak256(abi_encode(call))


@internal
def _end(call: ISummons.Call) -> bytes32:
    # A position is summoned once an attempt, so its summons stays over.
    work: bytes32 = self._work(call.query_id, call.attempt, call.shard)
    assert self._calls[work][call.position] == self._hash(call), "summons: no such summons"
    self._calls[work][call.position] = CLOSED
    return work


@internal
def _return_bond(receiver: address):
    assert extcall TOKEN.transfer(receiver, RULES.bond), "summons: bond not returned"


@internal
def _add_miss(version_id: bytes32, operator: address):
    # An outage makes one miss a period, however many queries it meets.
    word: uint256 = self._misses[version_id][operator]
    period: uint256 = block.timestamp // RULES.period
    if word & PERIOD_MASK != period:
        # Shifts out the oldest one.
        self._misses[version_id][operator] = (word << PERIOD_BITS) | period


@internal
@view
def _count(version_id: bytes32, operator: address) -> uint256:
    word: uint256 = self._misses[version_id][operator]
    period: uint256 = block.timestamp // RULES.period
    count: uint256 = 0
    for i: uint256 in range(RULES.jail_misses, bound=MAX_MISSES):
        missed: uint256 = (word >> (PERIOD_BITS * i)) & PERIOD_MASK
        if missed == 0 or missed + RULES.jail_periods <= period:
            break
        count += 1
    return count
