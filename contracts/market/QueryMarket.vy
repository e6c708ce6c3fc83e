# pragma version ~=0.4.3
# pragma optimize codesize
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
    3. What is set aside in a dispute goes to who earned it or to the requester, and once:
    tests/invariants/test_query_market.py::QueryMarketMachine.an_earmark_is_released_once
    4. One sealed input is proved for one query:
    tests/contracts/market/test_fulfil_sealed_proved.py::test_no_query_takes_the_proofs_of_another
    5. A CHALLENGED answer is delivered once at most, and never when it was overturned:
    tests/invariants/test_query_market.py::QueryMarketMachine.an_overturned_answer_is_never_delivered
@custom:kill No switch. Without committees every open query can be refunded.
"""
from ethereum.ercs import IERC20

from ..interfaces import ICommittee
from ..interfaces import IPricing
from ..interfaces import IProtocolParameters
from ..interfaces import IQueryMarket
from ..interfaces import IStakeVault

implements: IQueryMarket

from ..lib import credit_book
from ..lib import edge_type
from ..lib import parameter_words
from ..lib import permit
from ..lib import query_book
from ..lib import query_terms
from ..lib import tenure
from ..lib import tensor_digest
from ..lib import version_identity

initializes: credit_book
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
    query_book.seed_of,
)

# An open query once its terms, its deadline and its seed are found in order.
struct Open:
    terms_hash: bytes32
    seed: bytes32

# Gas that must be left over beside the callback's own: the call and the event behind it.
CALLBACK_MARGIN: constant(uint256) = 25_000

# Longest answer that a report brings itself.
MAX_OUTPUT_BYTES: constant(uint256) = 1_024

TOKEN: immutable(IERC20)
PARAMETERS: immutable(IProtocolParameters)
VAULT: immutable(IStakeVault)
COMMITTEE: immutable(ICommittee)
PRICING: immutable(IPricing)
DEPLOYER: immutable(address)

# Who may hold answered queries.
court: public(address)

# Sealed inputs whose answers are proved. Whoever was drawn could show the proofs of one query, which
# say nothing of it but this digest, as those of another one.
_proved_inputs: HashMap[bytes32, bool]

# Whether a callback runs.
_delivering: transient(bool)


@deploy
def __init__(
    token: IERC20,
    parameters: IProtocolParameters,
    vault: IStakeVault,
    committee: ICommittee,
    pricing: IPricing,
    credit_window: uint256,
):
    """
    @notice Binds the market to the contracts below it for good.
    @param token NES.
    @param parameters Protocol parameters.
    @param vault Operators and seats.
    @param committee Judge of reports.
    @param pricing Prices and terms of orders.
    @param credit_window Seconds; at least every dispute window that a query may carry.
    """
    TOKEN = token
    PARAMETERS = parameters
    VAULT = vault
    COMMITTEE = committee
    PRICING = pricing
    DEPLOYER = msg.sender
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
    permit.take(TOKEN.address, order.max_fee, permit_deadline, v, r, s)
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

    again: IQueryMarket.Query = staticcall PRICING.retried(query)
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
    @notice Brings the answer that committees agreed on, pays who worked and, unless it waits for
            disputes, calls the requester.
    """
    assert query.assurance != IQueryMarket.Assurance.PROVED, "market: not an agreed query"
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
    open: Open = self._answerable(query)
    verdict: ICommittee.Verdict = staticcall COMMITTEE.check_proved(
        self, query, open.seed, report, output, tensors, proofs, msg.sender
    )
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
    content: bytes32 = query_book._content(query, outcome)
    closing: uint256 = query_book._settled(query.query_id, content)
    # A report's event, behind its callback, must tell the outcome that is stored.
    assert not self._delivering, "market: in a callback"
    assert block.timestamp <= closing, "market: claims are over"
    proved: bool = query.assurance == IQueryMarket.Assurance.PROVED
    assert not proved, "market: nothing to claim"
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
    query_book._open_terms(query)
    assert block.timestamp > query.answer_deadline, "market: not yet refundable"

    query_book._turn(query.query_id, IQueryMarket.QueryStatus.REFUNDED)
    amount: uint256 = query_terms.fee(query)
    credit_book._cancel(query.version_id, query_terms.exposed(query.assurance, amount))
    credit_book._return(convert(query.requester, uint256), amount)
    log IQueryMarket.QueryRefunded(
        query_id=query.query_id, requester=query.requester, amount=amount
    )


@external
def close(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome):
    """
    @notice Credits the requester with the slots that nobody claimed.
    """
    challenged: bool = query.assurance == IQueryMarket.Assurance.CHALLENGED
    assert not challenged, "market: to be delivered"
    returned: uint256 = self._close(query, outcome)
    assert returned != 0, "market: nothing left"


@external
def deliver(
    query: IQueryMarket.Query, outcome: IQueryMarket.Outcome, output: Bytes[1024]
) -> IQueryMarket.CallbackResult:
    """
    @notice Calls the requester of a CHALLENGED query with its answer, which stood.
    """
    challenged: bool = query.assurance == IQueryMarket.Assurance.CHALLENGED
    assert challenged, "market: delivered at once"
    assert keccak256(output) == outcome.output_hash, "market: not the answer"
    self._close(query, outcome)
    credit_book._earn(self._payee_of_sender(), query.callback_fee)

    callback: IQueryMarket.CallbackResult = self._call_back(query, output)
    log IQueryMarket.QueryDelivered(
        query_id=query.query_id, requester=query.requester, callback=callback
    )
    return callback


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
    version_id: bytes32 = version_identity.version_id(developer, root)
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
    number: uint256 = staticcall VAULT.operator_number(account)
    amount: uint256 = credit_book._take_all(account, number)
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
def hold(
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
    shard: uint256,
    payees: DynArray[uint256, 8],
):
    """
    @notice Stops the clock of an answered query and sets aside what a shard's members earned.
    """
    self._check_court()
    assert shard < query.shards, "market: no such shard"
    amount: uint256 = query_terms.split_fee(query).slot
    slots: uint256 = 0
    for i: uint256 in range(len(payees), bound=8):
        if credit_book._set_aside(payees[i], amount):
            slots |= 1 << i
    content: bytes32 = query_book._content(query, outcome)
    query_book._hold(query.query_id, content, shard, slots)
    log IQueryMarket.QueryHeld(query_id=query.query_id, shard=shard)


@external
def release(
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
    shard: uint256,
    payees: DynArray[uint256, 8],
):
    """
    @notice Ends a shard's hold and pays its members again; after the last hold the clock goes on.
    """
    slots: uint256 = self._end_hold(query, outcome, shard)
    amount: uint256 = query_terms.split_fee(query).slot
    for i: uint256 in range(len(payees), bound=8):
        if (slots >> i) & 1 == 1:
            credit_book._earn(payees[i], amount)
    log IQueryMarket.QueryReleased(
        query_id=query.query_id, shard=shard, closes_at=query_book._closes_at(query.query_id)
    )


@external
def overturn(
    query: IQueryMarket.Query, outcome: IQueryMarket.Outcome, shard: uint256
) -> uint256:
    """
    @notice Ends a shard's hold and returns what its members earned and what nobody was paid.
    """
    slots: uint256 = self._end_hold(query, outcome, shard)
    split: query_terms.FeeSplit = query_terms.split_fee(query)
    taken: uint256 = self._count(slots) * split.slot
    returned: uint256 = 0
    kept: uint256 = 0
    if query_book._status_of(query.query_id) != IQueryMarket.QueryStatus.OVERTURNED:
        query_book._turn(query.query_id, IQueryMarket.QueryStatus.OVERTURNED)
        returned = taken + self._unpaid(query, outcome) * split.slot + split.delivery
        kept = query_terms.fee(query) - returned
        credit_book._return(convert(query.requester, uint256), returned)
    else:
        # The requester has its whole fee back by the first shard's end.
        credit_book._earn(convert(staticcall PARAMETERS.treasury(), uint256), taken)
    log IQueryMarket.QueryOverturned(
        query_id=query.query_id, requester=query.requester, shard=shard, returned=returned
    )
    return kept


# === Views ===


@external
@view
def credit_of(account: address) -> (uint256, uint256):
    """
    @notice What the market owes to an account.
    """
    return credit_book._credit_of(account, staticcall VAULT.operator_number(account))


@external
@view
def quote(order: IQueryMarket.Order) -> uint256:
    """
    @notice What an order would cost now.
    """
    query: IQueryMarket.Query = empty(IQueryMarket.Query)
    input_edge: bytes32 = empty(bytes32)
    exposure_cap: uint256 = 0
    query, input_edge, exposure_cap = staticcall PRICING.terms(order, msg.sender)
    return query_terms.fee(query)


# === Request ===


@internal
def _request(order: IQueryMarket.Order, input: Bytes[4096]) -> uint256:
    self._check_caller()
    query: IQueryMarket.Query = empty(IQueryMarket.Query)
    input_edge: bytes32 = empty(bytes32)
    exposure_cap: uint256 = 0
    query, input_edge, exposure_cap = staticcall PRICING.terms(order, msg.sender)
    # What may be overturned must not have been paid out.
    dispute_window: uint256 = parameter_words.dispute_window(query.parameters)
    assert dispute_window <= credit_book.CREDIT_WINDOW, "market: dispute outlasts credit"
    length: uint256 = edge_type.byte_length(input_edge)
    if order.privacy == IQueryMarket.Privacy.SEALED or length > tensor_digest.MAX_BYTES:
        # Ciphertext, or where it or a long input is published. The digest names the plaintext.
        assert len(input) != 0, "market: no input"
        assert order.input_digest != empty(bytes32), "market: no input digest"
        if order.assurance == IQueryMarket.Assurance.PROVED:
            assert not self._proved_inputs[order.input_digest], "market: input asked before"
            self._proved_inputs[order.input_digest] = True
    else:
        assert len(input) == length, "market: wrong input length"
        root: bytes32 = tensor_digest.bytes_root(input)
        query.input_digest = self._boundary_digest(input_edge, root)
    fee: uint256 = query_terms.fee(query)
    exposed: uint256 = query_terms.exposed(query.assurance, fee)
    assert fee <= order.max_fee, "market: fee too low"

    query.query_id = credit_book._open(query.version_id, fee, exposed, exposure_cap)
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
    # Nobody can make the market, or what it trusts, the target of a callback. Committee and
    # pricing have views only, which cannot ask.
    assert msg.sender not in [
        self,
        TOKEN.address,
        PARAMETERS.address,
        VAULT.address,
    ], "market: own contract"


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
    right: bool = False
    if len(output) == length:
        root: bytes32 = tensor_digest.bytes_root(output)
        right = self._boundary_digest(query.output_edge, root) == out_digest
    else:
        # A long answer stays with the members; its digest goes in its place.
        assert length > MAX_OUTPUT_BYTES, "market: wrong output length"
        right = keccak256(output) == keccak256(out_digest)
    assert right, "market: other output"


@internal
@pure
def _boundary_digest(edge: bytes32, root: bytes32) -> bytes32:
    # As in `tensor_digest`, but from the root: one copy of the bytes less to pay for.
    tensor: bytes32 = keccak256(abi_encode(tensor_digest.TENSOR_DOMAIN, edge, root))
    return keccak256(abi_encode(tensor_digest.EDGES_DOMAIN, tensor))


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
    self._pay(query, verdict.oracle, verdict.payees)

    callback: IQueryMarket.CallbackResult = IQueryMarket.CallbackResult.SKIPPED
    if query.assurance != IQueryMarket.Assurance.CHALLENGED:
        callback = self._call_back(query, output)
    log IQueryMarket.QueryFulfilled(
        query_id=query.query_id,
        requester=query.requester,
        callback=callback,
        output=output,
        outcome=outcome,
    )
    return callback


@internal
def _pay(query: IQueryMarket.Query, oracle: uint256, payees: DynArray[uint256, 32]):
    # Slots that the report left out stay with the market until they are claimed.
    split: query_terms.FeeSplit = query_terms.split_fee(query)
    credit_book._share(
        query.version_id,
        query_terms.exposed(query.assurance, query_terms.fee(query)),
        split.royalty,
        split.reviewers,
        split.treasury,
    )
    for payee: uint256 in payees:
        credit_book._earn(payee, split.slot)
    credit_book._earn(oracle, split.oracle)


@internal
def _call_back(query: IQueryMarket.Query, output: Bytes[1024]) -> IQueryMarket.CallbackResult:
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
def _close(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome) -> uint256:
    content: bytes32 = query_book._content(query, outcome)
    closing: uint256 = query_book._settled(query.query_id, content)
    assert block.timestamp > closing, "market: claims are open"

    query_book._turn(query.query_id, IQueryMarket.QueryStatus.FINAL)
    amount: uint256 = self._unpaid(query, outcome) * query_terms.split_fee(query).slot
    credit_book._return(convert(query.requester, uint256), amount)
    log IQueryMarket.QueryClosed(query_id=query.query_id, returned_to_requester=amount)
    return amount


@internal
@view
def _check_court():
    assert msg.sender == self.court, "market: not the court"


@internal
def _end_hold(
    query: IQueryMarket.Query, outcome: IQueryMarket.Outcome, shard: uint256
) -> uint256:
    self._check_court()
    content: bytes32 = query_book._content(query, outcome)
    return query_book._end_hold(query.query_id, content, shard)


@internal
@view
def _payee_of_sender() -> uint256:
    operator: address = staticcall VAULT.operator_of(msg.sender)
    if operator == empty(address):
        return convert(msg.sender, uint256)
    return tenure.payee_of(staticcall VAULT.operator_number(operator))


@internal
@pure
def _unpaid(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome) -> uint256:
    # Slots of all shards that nobody was paid for.
    count: uint256 = query.shards * query.replicas
    for shard: IQueryMarket.ShardOutcome in outcome.shards:
        count -= self._count(shard.paid)
    return count


@internal
@pure
def _count(slots: uint256) -> uint256:
    count: uint256 = 0
    for position: uint256 in range(8):
        count += (slots >> position) & 1
    return count
