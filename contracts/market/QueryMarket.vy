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

from ..lib import credit_book
from ..lib import edge_type
from ..lib import pricing
from ..lib import query_book
from ..lib import query_terms
from ..lib import tenure
from ..lib import tensor_digest

initializes: credit_book
initializes: pricing[credit_book := credit_book]
initializes: query_book

exports: (
    credit_book.total_owed,
    credit_book.last_query_id,
    credit_book.open_fees,
    credit_book.shares_of,
    query_book.status_of,
    query_book.closes_at,
    query_book.verify_terms,
    query_book.verify_outcome,
    query_book.pinned_seed,
)

# An open query once its terms, its deadline and its seed are found in order.
struct Open:
    terms_hash: bytes32
    seed: bytes32

# What goes into a shard and what comes out: packed edges, or digests.
struct Boundary:
    input: bytes32
    output: bytes32

# As in the registry: the version id holds the developer.
VERSION_ID_DOMAIN: constant(bytes32) = keccak256("nesa.version-id.v1")

MAX_ATTEMPTS: constant(uint256) = 3
# Gas that must be left over beside the callback's own: the call and the event behind it.
CALLBACK_MARGIN: constant(uint256) = 25_000

TOKEN: immutable(IERC20)
PARAMETERS: immutable(IProtocolParameters)
REGISTRY: immutable(IModelRegistry)
VAULT: immutable(IStakeVault)
ROUTER: immutable(IProofRouter)
COMMITTEE: immutable(ICommittee)
DEPLOYER: immutable(address)
# From the start of a query's epoch; seats are kept for that long.
MAXIMUM_QUERY_SECONDS: immutable(uint256)

# Who may hold answered queries.
court: public(address)

# Whether a callback runs.
_delivering: transient(bool)


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
    MAXIMUM_QUERY_SECONDS = staticcall parameters.maximum_query_seconds()
    credit_book.__init__(credit_window)
    pricing.__init__(parameters, registry, vault)


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
    query_book._open_terms(query)
    assert msg.sender == query.requester, "market: not the requester"
    late: bool = block.timestamp > query.answer_deadline
    assert late or query_book._is_seed_gone(query.seed_block), "market: still answerable"
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

    query_book._store(query.query_id, IQueryMarket.QueryStatus.OPEN, 0, query_terms.terms_hash(again))
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
    for i: uint256 in range(query.shards, bound=pricing.MAX_PROVED_SHARDS):
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
    closing: uint256 = query_book._settled(query, outcome)
    # A report's event, behind its callback, must tell the outcome that is stored.
    assert not self._delivering, "market: in a callback"
    assert block.timestamp <= closing, "market: claims are over"
    agreed: bool = query.assurance == IQueryMarket.Assurance.AGREED
    assert agreed, "market: nothing to claim"
    number: uint256 = staticcall COMMITTEE.check_claim(
        self, query, outcome, shard, commitments, result
    )
    assert (outcome.shards[shard].paid >> result.position) & 1 == 0, "market: slot is paid"

    settled: IQueryMarket.Outcome = outcome
    settled.shards[shard].paid |= 1 << result.position
    query_book._store(
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
    terms_hash: bytes32 = query_book._open_terms(query)
    assert block.timestamp > query.answer_deadline, "market: not yet refundable"

    query_book._store(query.query_id, IQueryMarket.QueryStatus.REFUNDED, 0, terms_hash)
    amount: uint256 = query_terms.fee(query)
    credit_book._cancel(query.version_id, query_terms.exposed(query))
    credit_book._return(convert(query.requester, uint256), amount)
    log IQueryMarket.QueryRefunded(
        query_id=query.query_id, requester=query.requester, amount=amount
    )


@external
def close(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome):
    """
    @notice Credits the requester with the slots that nobody claimed.
    """
    closing: uint256 = query_book._settled(query, outcome)
    assert block.timestamp > closing, "market: claims are open"
    unpaid: uint256 = query.shards * query.replicas - self._paid_slots(outcome)
    assert unpaid != 0, "market: nothing left"

    query_book._store(
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
    seed: bytes32 = query_book._pin_seed(seed_block)
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
    query_book._hold(query_id)


@external
def release(query_id: uint256):
    """
    @notice Ends one hold; after the last one the clock goes on.
    """
    assert msg.sender == self.court, "market: only the court"
    query_book._release(query_id)


@external
def overturn(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome):
    """
    @notice Reserved: always reverts.
    """
    raise "market: not offered yet"


# === Views ===


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
    return query_terms.fee(pricing._ordered(order).query)


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
    self._check_caller()
    ordered: pricing.Ordered = pricing._ordered(order)
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

    query.query_id = credit_book._open(query.version_id, fee, query_terms.exposed(query))
    query_book._store(query.query_id, IQueryMarket.QueryStatus.OPEN, 0, query_terms.terms_hash(query))
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
def _check_caller():
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
def _seats_until(epoch: uint256) -> uint256:
    # Until when the vault keeps the seats that queries of this epoch draw from.
    return epoch * pricing.EPOCH_SECONDS + MAXIMUM_QUERY_SECONDS


# === Report ===


@internal
@view
def _answerable(query: IQueryMarket.Query) -> Open:
    terms_hash: bytes32 = query_book._open_terms(query)
    assert block.timestamp <= query.answer_deadline, "market: too late"
    return Open(terms_hash=terms_hash, seed=query_book._seed(query.seed_block))


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
    query_book._store(
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
        query_terms.exposed(query),
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
    outer: bool = self._delivering
    self._delivering = True
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
@pure
def _paid_slots(outcome: IQueryMarket.Outcome) -> uint256:
    count: uint256 = 0
    for shard: IQueryMarket.ShardOutcome in outcome.shards:
        for position: uint256 in range(8):
            count += (shard.paid >> position) & 1
    return count
