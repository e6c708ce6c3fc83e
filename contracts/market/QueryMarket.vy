# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Query Market
@license AGPL-3.0-only
@notice Takes the fee of a query, delivers its answer and pays everybody who worked for it; see
        `IQueryMarket` for what each function promises.
@dev There is no re-entrancy lock: a client may ask again from its callback. Every function
     changes its own state before it calls anything that could call back, and the callback is the
     last call of a report.
@custom:invariant 1. The token balance is `total_owed`, and more only by donations:
    tests/invariants/test_query_market.py::QueryMarketMachine.the_market_is_solvent
    2. A query is answered or refunded, and once:
    tests/invariants/test_query_market.py::QueryMarketMachine.a_query_ends_once
@custom:kill No switch. Without committees every open query can be refunded.
"""
from ethereum.ercs import IERC20

from ..interfaces import ICommittee
from ..interfaces import IModelRegistry
from ..interfaces import IProofRouter
from ..interfaces import IProtocolParameters
from ..interfaces import IQueryMarket
from ..interfaces import IStakeVault

implements: IQueryMarket

from ..lib import attestation
from ..lib import credit_book
from ..lib import edge_type
from ..lib import parameter_words
from ..lib import query_terms
from ..lib import tenure
from ..lib import tensor_digest

initializes: credit_book

exports: (
    credit_book.total_owed,
    credit_book.last_query_id,
    credit_book.open_fees,
    credit_book.shares_of,
)

# An open query once its terms, its deadline and its seed are found in order.
struct Open:
    terms_hash: bytes32
    seed: bytes32

# The terms of an order and what is needed of its version to read the input.
struct Ordered:
    query: IQueryMarket.Query
    input_edge: bytes32

# What goes into a shard and what comes out: packed edges, or digests.
struct Boundary:
    input: bytes32
    output: bytes32

# As in the registry: the version id holds the developer.
VERSION_ID_DOMAIN: constant(bytes32) = keccak256("nesa.version-id.v1")

BPS: constant(uint256) = 10_000
MAX_OUTPUT_BYTES: constant(uint256) = 1_024
# Unit of gas that the callback price is for.
GAS_UNIT: constant(uint256) = 1_000
MIN_REPLICAS: constant(uint256) = 3
MAX_PROVED_SHARDS: constant(uint256) = 4
# Shards times replicas; bounds what a report can cost.
MAX_MEMBER_SLOTS: constant(uint256) = 32
MAX_ATTEMPTS: constant(uint256) = 3
# Blocks whose hash the chain remembers.
HASH_BLOCKS: constant(uint256) = 256

# A query's word is status (8 bits, highest) | closes_at (40) | the low 208 bits of the hash of its
# terms, or of its outcome once it is answered. 208 bits leave 2**104 steps for a collision and
# 2**208 for the second preimage that changed terms would need.
CLOSES_SHIFT: constant(uint256) = 208
STATUS_SHIFT: constant(uint256) = 248
HASH_MASK: constant(uint256) = 2**208 - 1
CLOSES_MASK: constant(uint256) = 2**40 - 1

# A query's holds are their number (64 bits, lowest) | since when.
HELD_SINCE_SHIFT: constant(uint256) = 64
HOLD_COUNT_MASK: constant(uint256) = 2**64 - 1

# Gas that must be left over beside the callback's own: the call and the event behind it.
CALLBACK_MARGIN: constant(uint256) = 25_000

TOKEN: immutable(IERC20)
PARAMETERS: immutable(IProtocolParameters)
REGISTRY: immutable(IModelRegistry)
VAULT: immutable(IStakeVault)
ROUTER: immutable(IProofRouter)
COMMITTEE: immutable(ICommittee)
DEPLOYER: immutable(address)
EPOCH_SECONDS: immutable(uint256)
# From the start of a query's epoch; seats are kept for that long.
MAXIMUM_QUERY_SECONDS: immutable(uint256)

# Who may hold answered queries.
court: public(address)

# One word a query, see above.
_queries: HashMap[uint256, uint256]
# Block hashes kept beyond what the chain remembers.
pinned_seed: public(HashMap[uint256, bytes32])
# Open disputes of an answered query, see above.
_holds: HashMap[uint256, uint256]
# The query whose callback runs.
_delivering: transient(uint256)


@deploy
def __init__(
    token: IERC20,
    parameters: IProtocolParameters,
    registry: IModelRegistry,
    vault: IStakeVault,
    router: IProofRouter,
    committee: ICommittee,
    credit_window: uint256,
):
    """
    @notice Binds the market to the contracts below it for good.
    @param token NES.
    @param parameters Protocol parameters.
    @param registry Versions of models.
    @param vault Operators and seats.
    @param router Proofs.
    @param committee Judge of reports.
    @param credit_window Seconds; at least every dispute window that a query may carry.
    """
    TOKEN = token
    PARAMETERS = parameters
    REGISTRY = registry
    VAULT = vault
    ROUTER = router
    COMMITTEE = committee
    DEPLOYER = msg.sender
    EPOCH_SECONDS = staticcall vault.epoch_seconds()
    MAXIMUM_QUERY_SECONDS = staticcall parameters.maximum_query_seconds()
    credit_book.__init__(credit_window)


# === Clients ===


@external
def request(order: IQueryMarket.Order, input: Bytes[4096]) -> uint256:
    """
    @notice Asks a version of a model and pays for the answer.
    """
    return self._request(order, input)


@external
def request_with_permit(
    order: IQueryMarket.Order,
    input: Bytes[4096],
    permit_deadline: uint256,
    v: uint8,
    r: bytes32,
    s: bytes32,
) -> uint256:
    """
    @notice As `request`, with the caller's permit for `order.max_fee` in the same call.
    """
    self._permit(order.max_fee, permit_deadline, v, r, s)
    return self._request(order, input)


@external
def retry(query: IQueryMarket.Query):
    """
    @notice Opens another attempt of a query that nobody answered.
    """
    self._open_terms(query)
    assert msg.sender == query.requester, "market: not the requester"
    late: bool = block.timestamp > query.answer_deadline
    assert late or self._is_seed_gone(query.seed_block), "market: still answerable"
    assert query.attempt + 1 < MAX_ATTEMPTS, "market: no attempt left"

    rules: IProtocolParameters.QueryParameters = query_terms.rules(query)
    again: IQueryMarket.Query = query
    again.attempt += 1
    again.opened_at = block.timestamp
    again.answer_deadline = block.timestamp + rules.answer_window
    again.seed_block = block.number + 1
    # The last window of an answer in the last moment must close while the seats are still there.
    ends_by: uint256 = again.answer_deadline + max(rules.claim_window, rules.dispute_window)
    assert ends_by <= self._seats_until(query.epoch), "market: too late to retry"

    self._store(query.query_id, IQueryMarket.QueryStatus.OPEN, 0, query_terms.terms_hash(again))
    log IQueryMarket.AttemptOpened(query_id=query.query_id, query=again)


# === Oracles ===


@external
def fulfil(
    query: IQueryMarket.Query,
    report: DynArray[bytes32, 112],
    output: Bytes[1024],
) -> IQueryMarket.CallbackResult:
    """
    @notice Brings the answer to an AGREED query, pays who worked and calls the requester.
    """
    assert query.assurance == IQueryMarket.Assurance.AGREED, "market: not an agreed query"
    open: Open = self._answerable(query)
    verdict: ICommittee.Verdict = staticcall COMMITTEE.check(
        self, query, open.seed, report, keccak256(output), msg.sender
    )
    self._check_output(query, verdict.shards[query.shards - 1].out_digest, output)
    return self._conclude(query, open, verdict, output)


@external
def fulfil_proved(
    query: IQueryMarket.Query,
    report: DynArray[bytes32, 112],
    output: Bytes[512],
    tensors: DynArray[Bytes[512], 4],
    proofs: DynArray[Bytes[4608], 4],
) -> IQueryMarket.CallbackResult:
    """
    @notice Brings the answer to a PROVED query with a proof of every shard.
    """
    assert query.assurance == IQueryMarket.Assurance.PROVED, "market: not a proved query"
    assert len(tensors) == query.shards, "market: wrong tensor count"
    assert len(proofs) == query.shards, "market: wrong proof count"
    open: Open = self._answerable(query)
    verdict: ICommittee.Verdict = staticcall COMMITTEE.check(
        self, query, open.seed, report, keccak256(output), msg.sender
    )

    in_digest: bytes32 = query.input_digest
    for i: uint256 in range(query.shards, bound=MAX_PROVED_SHARDS):
        result: Bytes[512] = output
        if i + 1 < query.shards:
            result = tensors[i + 1]
        digests: Boundary = self._verify(query.version_id, i, tensors[i], result, proofs[i])
        assert digests.input == in_digest, "market: proof of other input"
        assert digests.output == verdict.shards[i].out_digest, "market: proof of other output"
        in_digest = digests.output
    return self._conclude(query, open, verdict, output)


# === Members ===


@external
def claim_slot(
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
    shard: uint256,
    commitments: DynArray[bytes32, 8],
    result: IQueryMarket.SignedResult,
):
    """
    @notice Pays a member of a settled committee whom the report left out.
    """
    closing: uint256 = self._settled(query, outcome)
    # The report's event, behind its callback, must tell the outcome that is stored.
    assert self._delivering != query.query_id, "market: in its callback"
    assert block.timestamp <= closing, "market: claims are over"
    agreed: bool = query.assurance == IQueryMarket.Assurance.AGREED
    assert agreed, "market: nothing to claim"
    number: uint256 = staticcall COMMITTEE.check_claim(
        self, query, outcome, shard, commitments, result
    )
    assert (outcome.shards[shard].paid >> result.position) & 1 == 0, "market: slot is paid"

    settled: IQueryMarket.Outcome = outcome
    settled.shards[shard].paid |= 1 << result.position
    self._store(
        query.query_id,
        IQueryMarket.QueryStatus.FULFILLED,
        closing,
        query_terms.outcome_hash(settled),
    )
    amount: uint256 = query_terms.split_fee(query).slot
    credit_book._earn(tenure.payee_of(number), amount)
    log IQueryMarket.SlotClaimed(
        query_id=query.query_id,
        operator=staticcall VAULT.operator_at(number),
        shard=shard,
        amount=amount,
        paid=settled.shards[shard].paid,
    )


# === Everybody ===


@external
def refund(query: IQueryMarket.Query):
    """
    @notice Credits the whole fee to the requester of a query that was not answered in time.
    """
    terms_hash: bytes32 = self._open_terms(query)
    assert block.timestamp > query.answer_deadline, "market: not yet refundable"

    self._store(query.query_id, IQueryMarket.QueryStatus.REFUNDED, 0, terms_hash)
    amount: uint256 = query_terms.fee(query)
    credit_book._cancel(query.version_id, amount)
    credit_book._return(convert(query.requester, uint256), amount)
    log IQueryMarket.QueryRefunded(
        query_id=query.query_id, requester=query.requester, amount=amount
    )


@external
def close(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome):
    """
    @notice Credits the requester with the slots that nobody claimed.
    """
    closing: uint256 = self._settled(query, outcome)
    assert block.timestamp > closing, "market: claims are open"
    unpaid: uint256 = query.shards * query.replicas - self._paid_slots(outcome)
    assert unpaid != 0, "market: nothing left"

    self._store(
        query.query_id,
        IQueryMarket.QueryStatus.FINAL,
        closing,
        query_terms.outcome_hash(outcome),
    )
    amount: uint256 = unpaid * query_terms.split_fee(query).slot
    credit_book._return(convert(query.requester, uint256), amount)
    log IQueryMarket.QueryClosed(query_id=query.query_id, returned_to_requester=amount)


@external
def pin_seed(seed_block: uint256) -> bytes32:
    """
    @notice Keeps the hash of a recent block.
    """
    assert seed_block < block.number, "market: no such block yet"
    assert block.number - seed_block <= HASH_BLOCKS, "market: block is forgotten"
    seed: bytes32 = blockhash(seed_block)
    self.pinned_seed[seed_block] = seed
    log IQueryMarket.SeedPinned(seed_block=seed_block, seed=seed)
    return seed


@external
def collect(developer: address, root: bytes32):
    """
    @notice Credits the shares of a version's fees to its developer, the reviewers, the treasury.
    """
    version_id: bytes32 = keccak256(abi_encode(VERSION_ID_DOMAIN, developer, root))
    royalty: uint256 = 0
    reviewers: uint256 = 0
    treasury: uint256 = 0
    royalty, reviewers, treasury = credit_book._collect(version_id)
    assert royalty + reviewers + treasury != 0, "market: nothing to collect"

    pool: address = staticcall PARAMETERS.reviewer_pool()
    credit_book._earn(convert(developer, uint256), royalty)
    credit_book._earn(convert(pool, uint256), reviewers)
    credit_book._earn(convert(staticcall PARAMETERS.treasury(), uint256), treasury)
    log IQueryMarket.SharesCollected(
        version_id=version_id,
        developer=developer,
        royalty=royalty,
        reviewers=reviewers,
        treasury=treasury,
    )


@external
def withdraw(account: address) -> uint256:
    """
    @notice Pays an account what it earned and may take.
    """
    amount: uint256 = credit_book._take(convert(account, uint256))
    number: uint256 = staticcall VAULT.operator_number(account)
    if number != 0:
        amount += credit_book._take(tenure.payee_of(number))
    assert amount != 0, "market: nothing to withdraw"
    log IQueryMarket.CreditWithdrawn(account=account, amount=amount)
    paid: bool = extcall TOKEN.transfer(account, amount, default_return_value=True)
    assert paid, "market: transfer failed"
    return amount


# === Court ===


@external
def set_court(court: address):
    """
    @notice Names the dispute court for good.
    """
    assert msg.sender == DEPLOYER, "market: not the deployer"
    assert self.court == empty(address), "market: court is set"
    assert court != empty(address), "market: no court"
    self.court = court
    log IQueryMarket.CourtSet(court=court)


@external
def hold(query_id: uint256):
    """
    @notice Stops the clock of an answered query.
    """
    assert msg.sender == self.court, "market: not the court"
    status: IQueryMarket.QueryStatus = self._status_of(query_id)
    assert status == IQueryMarket.QueryStatus.FULFILLED, "market: not to be held"
    holds: uint256 = self._holds[query_id]
    if holds == 0:
        holds = block.timestamp << HELD_SINCE_SHIFT
    self._holds[query_id] = holds + 1


@external
def release(query_id: uint256):
    """
    @notice Ends one hold; after the last one the clock goes on.
    """
    assert msg.sender == self.court, "market: only the court"
    holds: uint256 = self._holds[query_id]
    assert holds != 0, "market: not held"
    if holds & HOLD_COUNT_MASK > 1:
        self._holds[query_id] = holds - 1
    else:
        self._holds[query_id] = 0
        held: uint256 = block.timestamp - (holds >> HELD_SINCE_SHIFT)
        self._queries[query_id] += held << CLOSES_SHIFT


@external
def overturn(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome):
    """
    @notice Reserved: always reverts.
    """
    raise "market: not offered yet"


# === Views ===


@external
@view
def status_of(query_id: uint256) -> IQueryMarket.QueryStatus:
    """
    @notice Where a query stands now.
    """
    return self._status_of(query_id)


@external
@view
def closes_at(query_id: uint256) -> uint256:
    """
    @notice Until when slots can be claimed and the answer disputed.
    """
    return (self._queries[query_id] >> CLOSES_SHIFT) & CLOSES_MASK


@external
@view
def verify_terms(query: IQueryMarket.Query) -> bool:
    """
    @notice Whether these are the terms of an open query.
    """
    word: uint256 = self._word(IQueryMarket.QueryStatus.OPEN, 0, query_terms.terms_hash(query))
    return self._queries[query.query_id] == word


@external
@view
def verify_outcome(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome) -> bool:
    """
    @notice Whether this is the outcome that the market keeps for this query.
    """
    return self._is_outcome(self._queries[query.query_id], query, outcome)


@external
@view
def credit_of(account: address) -> (uint256, uint256):
    """
    @notice What the market owes to an account.
    """
    ready: uint256 = 0
    waiting: uint256 = 0
    ready, waiting = credit_book._credit(convert(account, uint256))
    number: uint256 = staticcall VAULT.operator_number(account)
    if number == 0:
        return ready, waiting
    earned: uint256 = 0
    waiting_too: uint256 = 0
    earned, waiting_too = credit_book._credit(tenure.payee_of(number))
    return ready + earned, waiting + waiting_too


@external
@view
def quote(order: IQueryMarket.Order) -> uint256:
    """
    @notice What an order would cost now.
    """
    return query_terms.fee(self._ordered(order).query)


# === Request ===


@internal
def _permit(amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32) -> bool:
    # A permit that a front-runner has used already fails here, and the allowance is there.
    return raw_call(
        TOKEN.address,
        abi_encode(
            msg.sender,
            self,
            amount,
            deadline,
            v,
            r,
            s,
            method_id=method_id("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"),
        ),
        revert_on_failure=False,
    )


@internal
def _request(order: IQueryMarket.Order, input: Bytes[4096]) -> uint256:
    ordered: Ordered = self._ordered(order)
    query: IQueryMarket.Query = ordered.query
    if order.privacy == IQueryMarket.Privacy.SEALED:
        assert len(input) != 0, "market: no ciphertext"
        assert order.input_digest != empty(bytes32), "market: no input digest"
    else:
        length: uint256 = edge_type.byte_length(ordered.input_edge)
        assert len(input) == length, "market: wrong input length"
        root: bytes32 = tensor_digest.bytes_root(input)
        query.input_digest = self._boundary_digest(ordered.input_edge, root)
    fee: uint256 = query_terms.fee(query)
    assert fee <= order.max_fee, "market: fee too low"

    query.query_id = credit_book._open(query.version_id, fee)
    self._store(query.query_id, IQueryMarket.QueryStatus.OPEN, 0, query_terms.terms_hash(query))
    log IQueryMarket.QueryRequested(
        query_id=query.query_id,
        requester=msg.sender,
        version_id=query.version_id,
        query=query,
        input=input,
    )

    paid: bool = extcall TOKEN.transferFrom(
        msg.sender, self, fee, default_return_value=True
    )
    assert paid, "market: not paid"
    return query.query_id


@internal
@view
def _ordered(order: IQueryMarket.Order) -> Ordered:
    # The terms of an order but for its number and its input.
    self._check_offered(order)
    offer: IModelRegistry.Offer = staticcall REGISTRY.offer(order.version_id)
    parameters: uint256 = 0
    limits_word: uint256 = 0
    parameters, limits_word = staticcall PARAMETERS.request_terms()
    limits: IProtocolParameters.RequestLimits = parameter_words.unpack_request_limits(limits_word)
    self._check_order(order, offer, limits)
    rules: IProtocolParameters.QueryParameters = parameter_words.unpack_query_parameters(
        parameters
    )
    # A sealed answer is a ciphertext, whose length only its members know.
    if order.privacy == IQueryMarket.Privacy.OPEN:
        length: uint256 = edge_type.byte_length(offer.output_edge)
        assert length <= MAX_OUTPUT_BYTES, "market: output too large"
    disputable: bool = rules.dispute_window <= credit_book.CREDIT_WINDOW
    assert disputable, "market: dispute outlasts credit"

    query: IQueryMarket.Query = IQueryMarket.Query(
        query_id=0,
        requester=msg.sender,
        version_id=order.version_id,
        input_digest=order.input_digest,
        output_edge=offer.output_edge,
        assurance=order.assurance,
        privacy=order.privacy,
        shards=offer.shards,
        replicas=order.replicas,
        base_fee=offer.price * offer.shards * order.replicas,
        proof_fee=self._proof_fee(order, offer),
        callback_fee=limits.callback_price * order.callback_gas // GAS_UNIT,
        callback_gas=order.callback_gas,
        epoch=block.timestamp // EPOCH_SECONDS,
        seat_counts=staticcall VAULT.request_snapshot(
            order.version_id, offer.shards, max(limits.min_seats, order.replicas)
        ),
        parameters=query_terms.with_royalty(parameters, offer.royalty_bps),
        opened_at=block.timestamp,
        answer_deadline=block.timestamp + rules.answer_window,
        attempt=0,
        seed_block=block.number + 1,
    )
    # Nobody can lie in a proof, so nothing of it is ever repaid.
    if order.assurance != IQueryMarket.Assurance.PROVED:
        self._check_exposure(query, limits)
    return Ordered(query=query, input_edge=offer.input_edge)


@internal
@view
def _check_offered(order: IQueryMarket.Order):
    # Compared one by one, for a caller can set several flags at once.
    agreed: bool = order.assurance == IQueryMarket.Assurance.AGREED
    proved: bool = order.assurance == IQueryMarket.Assurance.PROVED
    open: bool = order.privacy == IQueryMarket.Privacy.OPEN
    sealed: bool = order.privacy == IQueryMarket.Privacy.SEALED
    assert (agreed and (open or sealed)) or (proved and open), "market: not offered yet"
    # Nobody can make the market, or what it trusts, the target of a callback.
    assert msg.sender not in [
        self,
        TOKEN.address,
        PARAMETERS.address,
        REGISTRY.address,
        VAULT.address,
        ROUTER.address,
        COMMITTEE.address,
    ], "market: own contract"


@internal
@view
def _check_order(
    order: IQueryMarket.Order,
    offer: IModelRegistry.Offer,
    limits: IProtocolParameters.RequestLimits,
):
    if order.assurance == IQueryMarket.Assurance.PROVED:
        assert order.replicas == 1, "market: one prover"
        assert offer.provable, "market: not provable"
        assert offer.shards <= MAX_PROVED_SHARDS, "market: too many shards"
    else:
        assert order.replicas >= MIN_REPLICAS, "market: too few replicas"
        assert order.replicas <= limits.max_replicas, "market: too many replicas"
    slots: uint256 = offer.shards * order.replicas
    assert slots <= MAX_MEMBER_SLOTS, "market: too many member slots"
    assert order.callback_gas <= limits.max_callback_gas, "market: too much callback gas"


@internal
@view
def _proof_fee(order: IQueryMarket.Order, offer: IModelRegistry.Offer) -> uint256:
    if order.assurance == IQueryMarket.Assurance.PROVED:
        return offer.proof_price * offer.shards
    return 0


@internal
@view
def _check_exposure(
    query: IQueryMarket.Query, limits: IProtocolParameters.RequestLimits
):
    # What is open never exceeds what the seats of a lying quorum could repay.
    repayable: uint256 = limits.seat_stake * attestation.quorum(query.replicas)
    cap: uint256 = repayable * limits.exposure_bps // BPS
    open: uint256 = credit_book._open_fees(query.version_id) + query_terms.fee(query)
    assert open <= cap, "market: exposure cap"


@internal
@view
def _seats_until(epoch: uint256) -> uint256:
    # Until when the vault keeps the seats that queries of this epoch draw from.
    return epoch * EPOCH_SECONDS + MAXIMUM_QUERY_SECONDS


# === Report ===


@internal
@view
def _answerable(query: IQueryMarket.Query) -> Open:
    terms_hash: bytes32 = self._open_terms(query)
    assert block.timestamp <= query.answer_deadline, "market: too late"
    return Open(terms_hash=terms_hash, seed=self._seed(query.seed_block))


@internal
@view
def _open_terms(query: IQueryMarket.Query) -> bytes32:
    word: uint256 = self._queries[query.query_id]
    open: uint256 = convert(IQueryMarket.QueryStatus.OPEN, uint256)
    assert word >> STATUS_SHIFT == open, "market: not open"
    terms_hash: bytes32 = query_terms.terms_hash(query)
    assert word & HASH_MASK == convert(terms_hash, uint256) & HASH_MASK, "market: other terms"
    return terms_hash


@internal
@view
def _seed(seed_block: uint256) -> bytes32:
    assert block.number > seed_block, "market: no seed yet"
    if block.number - seed_block <= HASH_BLOCKS:
        return blockhash(seed_block)
    seed: bytes32 = self.pinned_seed[seed_block]
    assert seed != empty(bytes32), "market: seed is gone"
    return seed


@internal
@view
def _is_seed_gone(seed_block: uint256) -> bool:
    forgotten: bool = block.number > seed_block + HASH_BLOCKS
    return forgotten and self.pinned_seed[seed_block] == empty(bytes32)


@internal
@view
def _check_output(query: IQueryMarket.Query, out_digest: bytes32, output: Bytes[1024]):
    # The bytes of a sealed answer are ciphertext: there is only the attestation to go by.
    if query.privacy == IQueryMarket.Privacy.SEALED:
        return
    length: uint256 = edge_type.byte_length(query.output_edge)
    assert len(output) == length, "market: wrong output length"
    root: bytes32 = tensor_digest.bytes_root(output)
    digest: bytes32 = self._boundary_digest(query.output_edge, root)
    assert digest == out_digest, "market: other output"


@internal
@pure
def _boundary_digest(edge: bytes32, root: bytes32) -> bytes32:
    # As in `tensor_digest`, but from the root: one copy of the bytes less to pay for.
    tensor: bytes32 = keccak256(concat(tensor_digest.TENSOR_DOMAIN, edge, root))
    return keccak256(concat(tensor_digest.EDGES_DOMAIN, tensor))


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
def _conclude(
    query: IQueryMarket.Query, open: Open, verdict: ICommittee.Verdict, output: Bytes[1024]
) -> IQueryMarket.CallbackResult:
    outcome: IQueryMarket.Outcome = IQueryMarket.Outcome(
        terms_hash=open.terms_hash,
        seed=open.seed,
        output_hash=keccak256(output),
        reporter=msg.sender,
        fulfilled_at=block.timestamp,
        shards=verdict.shards,
    )
    rules: IProtocolParameters.QueryParameters = query_terms.rules(query)
    self._store(
        query.query_id,
        IQueryMarket.QueryStatus.FULFILLED,
        block.timestamp + max(rules.claim_window, rules.dispute_window),
        query_terms.outcome_hash(outcome),
    )
    self._pay(query, verdict)

    callback: IQueryMarket.CallbackResult = self._deliver(query, output)
    log IQueryMarket.QueryFulfilled(
        query_id=query.query_id,
        requester=query.requester,
        callback=callback,
        output=output,
        outcome=outcome,
    )
    return callback


@internal
def _pay(query: IQueryMarket.Query, verdict: ICommittee.Verdict):
    # Slots that the report left out stay with the market until they are claimed.
    split: query_terms.FeeSplit = query_terms.split_fee(query)
    credit_book._share(
        query.version_id,
        query_terms.fee(query),
        split.royalty,
        split.reviewers,
        split.treasury,
    )
    for payee: uint256 in verdict.payees:
        credit_book._earn(payee, split.slot)
    credit_book._earn(verdict.oracle, split.oracle)


@internal
def _deliver(query: IQueryMarket.Query, output: Bytes[1024]) -> IQueryMarket.CallbackResult:
    if query.callback_gas == 0 or not query.requester.is_contract:
        return IQueryMarket.CallbackResult.SKIPPED

    answer: Bytes[1188] = abi_encode(
        query.query_id,
        query.version_id,
        query.assurance,
        output,
        method_id=method_id("on_answer(uint256,bytes32,uint256,bytes)"),
    )
    # A call can pass on 63/64 of what is left. With less than that the callback would get less
    # than was ordered and paid for, so the whole report reverts.
    spendable: uint256 = msg.gas - msg.gas // 64
    assert spendable >= query.callback_gas + CALLBACK_MARGIN, "market: gas too low"
    outer: uint256 = self._delivering
    self._delivering = query.query_id
    success: bool = False
    response: Bytes[32] = b""
    success, response = raw_call(
        query.requester,
        answer,
        max_outsize=32,
        gas=query.callback_gas,
        revert_on_failure=False,
    )
    self._delivering = outer
    if success:
        return IQueryMarket.CallbackResult.SUCCEEDED
    return IQueryMarket.CallbackResult.REVERTED


# === Settlement ===


@internal
@view
def _settled(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome) -> uint256:
    # When the windows of an answered query close, once its outcome is found in order.
    word: uint256 = self._queries[query.query_id]
    fulfilled: uint256 = convert(IQueryMarket.QueryStatus.FULFILLED, uint256)
    assert word >> STATUS_SHIFT == fulfilled, "market: not settled"
    assert self._is_outcome(word, query, outcome), "market: other outcome"
    assert self._holds[query.query_id] == 0, "market: held"
    return (word >> CLOSES_SHIFT) & CLOSES_MASK


@internal
@view
def _is_outcome(
    word: uint256, query: IQueryMarket.Query, outcome: IQueryMarket.Outcome
) -> bool:
    if outcome.terms_hash != query_terms.terms_hash(query):
        return False
    return word & HASH_MASK == convert(query_terms.outcome_hash(outcome), uint256) & HASH_MASK


@internal
@pure
def _paid_slots(outcome: IQueryMarket.Outcome) -> uint256:
    count: uint256 = 0
    for shard: IQueryMarket.ShardOutcome in outcome.shards:
        for position: uint256 in range(8):
            count += (shard.paid >> position) & 1
    return count


# === State words ===


@internal
def _store(
    query_id: uint256,
    status: IQueryMarket.QueryStatus,
    closing: uint256,
    content: bytes32,
):
    self._queries[query_id] = self._word(status, closing, content)


@internal
@pure
def _word(status: IQueryMarket.QueryStatus, closing: uint256, content: bytes32) -> uint256:
    head: uint256 = (convert(status, uint256) << STATUS_SHIFT) | (closing << CLOSES_SHIFT)
    return head | (convert(content, uint256) & HASH_MASK)


@internal
@view
def _status_of(query_id: uint256) -> IQueryMarket.QueryStatus:
    word: uint256 = self._queries[query_id]
    status: IQueryMarket.QueryStatus = convert(word >> STATUS_SHIFT, IQueryMarket.QueryStatus)
    if status != IQueryMarket.QueryStatus.FULFILLED or self._holds[query_id] != 0:
        return status
    if block.timestamp > (word >> CLOSES_SHIFT) & CLOSES_MASK:
        return IQueryMarket.QueryStatus.FINAL
    return status
