# pragma version ~=0.4.3
# pragma optimize codesize
# pragma evm-version prague
"""
@title Shared Sessions
@license AGPL-3.0-only
@notice Deposits for queries on shares and the vouchers that spend them; see `ISharedSessions` for
        what each function promises.
@dev What a lying group could gain is nothing: the client checks each product before it pays for it.
     So sessions do not count against a version's exposure cap.
@custom:invariant 1. The token balance is `total_owed`, and more only by donations:
    tests/invariants/test_shared_sessions.py::SharedSessionsMachine.the_sessions_are_solvent
    2. A session's deposit is what its members redeemed and what is left, and no member gets more
       than all products are worth:
    tests/invariants/test_shared_sessions.py::SharedSessionsMachine.a_deposit_is_spent_once
    3. A closed session pays nobody any more:
    tests/invariants/test_shared_sessions.py::SharedSessionsMachine.a_closed_session_is_empty
@custom:kill No switch. Every deposit ends with its members or with its client.
"""
from ethereum.ercs import IERC20

from ..interfaces import ICommittee
from ..interfaces import IModelRegistry
from ..interfaces import IProtocolParameters
from ..interfaces import IQueryMarket
from ..interfaces import ISharedSessions
from ..interfaces import IStakeVault

implements: ISharedSessions

from ..lib import credit_book
from ..lib import parameter_words
from ..lib import permit
from ..lib import query_book
from ..lib import query_terms
from ..lib import signature
from ..lib import tenure
from ..lib import version_identity

initializes: credit_book
initializes: query_book

exports: (
    credit_book.total_owed,
    credit_book.shares_of,
    query_book.status_of,
    query_book.pinned_seed,
    query_book.seed_of,
)

MAX_PRODUCTS: constant(uint256) = 64
# As many as a committee is drawn of.
MAX_SEATS: constant(uint256) = 8

VOUCHER_TYPE: constant(bytes32) = keccak256(
    "Voucher(uint256 sessionId,address operator,uint256 amount)"
)

# What the client is bound to beside the terms: left of the deposit (64 bits, lowest) | seats (8) |
# payer (160).
SEATS_SHIFT: constant(uint256) = 64
PAYER_SHIFT: constant(uint256) = 72
LEFT_MASK: constant(uint256) = 2**64 - 1
SEATS_MASK: constant(uint256) = 2**8 - 1

TOKEN: immutable(IERC20)
PARAMETERS: immutable(IProtocolParameters)
REGISTRY: immutable(IModelRegistry)
VAULT: immutable(IStakeVault)
COMMITTEE: immutable(ICommittee)
EPOCH_SECONDS: immutable(uint256)

# Products by list and number, and how many there are.
product_of: public(HashMap[bytes32, HashMap[uint256, bytes32]])
product_count: public(HashMap[bytes32, uint256])
products_of: public(HashMap[uint256, bytes32])
redeemed_by: public(HashMap[uint256, HashMap[address, uint256]])
# One word a session, see above.
_purses: HashMap[uint256, uint256]


@deploy
def __init__(
    token: IERC20,
    parameters: IProtocolParameters,
    registry: IModelRegistry,
    vault: IStakeVault,
    committee: ICommittee,
    credit_window: uint256,
):
    """
    @notice Binds the contract to those below it for good.
    @param token NES.
    @param parameters Protocol parameters.
    @param registry Versions of models.
    @param vault Operators and seats.
    @param committee Who is drawn.
    @param credit_window Seconds; earnings wait for one to two of them.
    """
    TOKEN = token
    PARAMETERS = parameters
    REGISTRY = registry
    VAULT = vault
    COMMITTEE = committee
    EPOCH_SECONDS = staticcall vault.epoch_seconds()
    credit_book.__init__(credit_window)


# === Developers ===


@external
def list_products(version_ids: DynArray[bytes32, MAX_PRODUCTS]) -> bytes32:
    """
    @notice Keeps the versions of a model's products; see `ISharedSessions`.
    """
    assert len(version_ids) != 0, "sessions: no products"
    # The first two words of the encoding are offset and length.
    products_id: bytes32 = keccak256(slice(abi_encode(version_ids), 64, 32 * len(version_ids)))
    assert self.product_count[products_id] == 0, "sessions: listed before"
    self.product_count[products_id] = len(version_ids)
    for number: uint256 in range(len(version_ids), bound=MAX_PRODUCTS):
        self.product_of[products_id][number] = version_ids[number]
    log ISharedSessions.ProductsListed(products_id=products_id, version_ids=version_ids)
    return products_id


# === Clients ===


@external
def open_session(order: ISharedSessions.Order) -> uint256:
    """
    @notice Opens a session and takes its deposit; see `ISharedSessions`.
    """
    return self._open(order)


@external
def open_session_with_permit(
    order: ISharedSessions.Order, permit_deadline: uint256, v: uint8, r: bytes32, s: bytes32
) -> uint256:
    """
    @notice As `open_session`, with the caller's permit for `order.max_deposit` in the same call.
    """
    permit.take(TOKEN.address, order.max_deposit, permit_deadline, v, r, s)
    return self._open(order)


# === Members ===


@external
def redeem(
    query: IQueryMarket.Query, position: uint256, amount: uint256, r: bytes32, vs: bytes32
) -> uint256:
    """
    @notice Credits a member with what a voucher exceeds those before it; see `ISharedSessions`.
    """
    query_book._open_terms(query)
    assert block.timestamp <= self._redeems_until(query), "sessions: vouchers are over"
    purse: uint256 = self._purses[query.query_id]
    assert position < (purse >> SEATS_SHIFT) & SEATS_MASK, "sessions: not to be paid"
    products: uint256 = self.product_count[self.products_of[query.query_id]]
    assert amount <= query.base_fee * products, "sessions: more than all products"
    operator: address = self._member(query, position)
    signed: bytes32 = self._voucher_hash(query.query_id, operator, amount)
    payer: address = convert(purse >> PAYER_SHIFT, address)
    assert signature.signer_of(signed, r, vs) == payer, "sessions: not the payer's"
    before: uint256 = self.redeemed_by[query.query_id][operator]
    assert amount > before, "sessions: nothing new"

    self.redeemed_by[query.query_id][operator] = amount
    self._purses[query.query_id] = purse - (amount - before)
    self._credit(query, operator, amount - before)
    log ISharedSessions.VoucherRedeemed(
        session_id=query.query_id, operator=operator, amount=amount - before
    )
    return amount - before


# === Everybody ===


@external
def close_session(query: IQueryMarket.Query) -> uint256:
    """
    @notice Credits the client with what is left of the deposit; see `ISharedSessions`.
    """
    query_book._open_terms(query)
    assert block.timestamp > self._redeems_until(query), "sessions: vouchers count"
    query_book._turn(query.query_id, IQueryMarket.QueryStatus.FINAL)
    purse: uint256 = self._purses[query.query_id]
    returned: uint256 = purse & LEFT_MASK
    self._purses[query.query_id] = purse - returned
    credit_book._return(convert(query.requester, uint256), returned)
    log ISharedSessions.SessionClosed(session_id=query.query_id, returned=returned)
    return returned


@external
def pin_seed(seed_block: uint256) -> bytes32:
    """
    @notice Keeps the hash of a recent block.
    """
    return query_book._pin_seed(seed_block)


@external
def collect(developer: address, root: bytes32):
    """
    @notice Credits the shares of a version's sessions; see `ISharedSessions`.
    """
    royalty: uint256 = 0
    reviewers: uint256 = 0
    treasury: uint256 = 0
    royalty, reviewers, treasury = credit_book._collect(
        version_identity.version_id(developer, root)
    )
    assert royalty + reviewers + treasury != 0, "sessions: nothing to collect"
    pool: address = staticcall PARAMETERS.reviewer_pool()
    credit_book._earn(convert(developer, uint256), royalty)
    credit_book._earn(convert(pool, uint256), reviewers)
    credit_book._earn(convert(staticcall PARAMETERS.treasury(), uint256), treasury)


@external
def withdraw(account: address) -> uint256:
    """
    @notice Pays an account what it earned and may take.
    """
    number: uint256 = staticcall VAULT.operator_number(account)
    amount: uint256 = credit_book._take_all(account, number)
    assert amount != 0, "sessions: nothing to withdraw"
    paid: bool = extcall TOKEN.transfer(account, amount, default_return_value=True)
    assert paid, "sessions: transfer failed"
    return amount


# === Views ===


@external
@view
def deposit_for(order: ISharedSessions.Order) -> uint256:
    """
    @notice What a session would take as its deposit now.
    """
    return self._deposit(order, self._terms(order))


@external
@view
def payer_of(session_id: uint256) -> (address, uint256):
    """
    @notice Who signs a session's vouchers, and how many seats they may be for.
    """
    purse: uint256 = self._purses[session_id]
    return convert(purse >> PAYER_SHIFT, address), (purse >> SEATS_SHIFT) & SEATS_MASK


@external
@view
def left_of(session_id: uint256) -> uint256:
    """
    @notice What is left of a session's deposit.
    """
    return self._purses[session_id] & LEFT_MASK


@external
@view
def credit_of(account: address) -> (uint256, uint256):
    """
    @notice What is owed to an account.
    """
    return credit_book._credit_of(account, staticcall VAULT.operator_number(account))


@external
@view
def verify_terms(query: IQueryMarket.Query) -> bool:
    """
    @notice Whether these are the terms under which members worked on a product.
    """
    products_id: bytes32 = self.products_of[query.query_id]
    if query.attempt >= self.product_count[products_id]:
        return False
    if self.product_of[products_id][query.attempt] != query.version_id:
        return False
    # Terms have one shard: an honest word about a shard of several could not be defended.
    if staticcall REGISTRY.shard_count(query.version_id) > 1:
        return False
    terms: IQueryMarket.Query = query
    terms.version_id = self.product_of[products_id][0]
    terms.attempt = 0
    word: uint256 = query_book._queries[query.query_id]
    return query_book._holds_content(word, query_terms.terms_hash(terms))


# === Internals ===


@internal
def _open(order: ISharedSessions.Order) -> uint256:
    query: IQueryMarket.Query = self._terms(order)
    deposit: uint256 = self._deposit(order, query)
    assert deposit <= order.max_deposit, "sessions: deposit too low"
    number: uint256 = credit_book._open(query.version_id, deposit, 0, max_value(uint256))
    query.query_id = query_terms.FIRST_SESSION + number
    query_book._store(
        query.query_id, IQueryMarket.QueryStatus.OPEN, 0, query_terms.terms_hash(query)
    )
    self.products_of[query.query_id] = order.products_id
    payer: uint256 = convert(order.payer, uint256) << PAYER_SHIFT
    self._purses[query.query_id] = payer | (order.seats << SEATS_SHIFT) | deposit
    log ISharedSessions.SessionOpened(
        session_id=query.query_id,
        client=msg.sender,
        products_id=order.products_id,
        query=query,
        payer=order.payer,
        seats=order.seats,
    )

    paid: bool = extcall TOKEN.transferFrom(
        msg.sender, self, deposit, default_return_value=True
    )
    assert paid, "sessions: not paid"
    return query.query_id


@internal
@view
def _terms(order: ISharedSessions.Order) -> IQueryMarket.Query:
    # The terms but for the session's number.
    assert order.payer != empty(address), "sessions: no payer"
    assert order.replicas != 0, "sessions: no replicas"
    assert 2 * order.replicas <= order.seats, "sessions: too few seats"
    assert order.seats <= MAX_SEATS, "sessions: too many seats"
    version_id: bytes32 = self.product_of[order.products_id][0]
    assert version_id != empty(bytes32), "sessions: no such products"
    offer: IModelRegistry.Offer = staticcall REGISTRY.offer(version_id)
    assert offer.shards == 1, "sessions: not a product"
    parameters: uint256 = 0
    limits: uint256 = 0
    parameters, limits = staticcall PARAMETERS.request_terms()
    seats: uint256 = max(parameter_words.unpack_request_limits(limits).min_seats, order.seats)
    return IQueryMarket.Query(
        query_id=0,
        requester=msg.sender,
        version_id=version_id,
        input_digest=empty(bytes32),
        output_edge=offer.output_edge,
        assurance=IQueryMarket.Assurance.AGREED,
        privacy=IQueryMarket.Privacy.SHARED,
        shards=1,
        replicas=order.replicas,
        base_fee=offer.price,
        proof_fee=0,
        callback_fee=0,
        callback_gas=0,
        epoch=block.timestamp // EPOCH_SECONDS,
        seat_counts=staticcall VAULT.request_snapshot(version_id, 1, seats),
        parameters=query_terms.with_royalty(parameters, offer.royalty_bps),
        opened_at=block.timestamp,
        answer_deadline=block.timestamp + parameter_words.answer_window(parameters),
        attempt=0,
        seed_block=block.number + 1,
    )


@internal
@view
def _deposit(order: ISharedSessions.Order, query: IQueryMarket.Query) -> uint256:
    return query.base_fee * self.product_count[order.products_id] * order.seats


@internal
@view
def _redeems_until(query: IQueryMarket.Query) -> uint256:
    return query.answer_deadline + query_terms.rules(query).claim_window


@internal
@view
def _member(query: IQueryMarket.Query, position: uint256) -> address:
    seed: bytes32 = query_book._seed(query.seed_block)
    drawn: DynArray[IStakeVault.Seat, MAX_SEATS] = staticcall COMMITTEE.members(
        self, query, seed, 0, position + 1
    )
    return drawn[position].operator


@internal
@view
def _voucher_hash(session_id: uint256, operator: address, amount: uint256) -> bytes32:
    message: bytes32 = keccak256(abi_encode(VOUCHER_TYPE, session_id, operator, amount))
    return signature.typed_hash(self, message)


@internal
def _credit(query: IQueryMarket.Query, operator: address, amount: uint256):
    # A session has no oracle: a member carries its own word, and has the oracle's share.
    part: IQueryMarket.Query = query
    part.base_fee = amount
    part.replicas = 1
    split: query_terms.FeeSplit = query_terms.split_fee(part)
    credit_book._share(query.version_id, 0, split.royalty, split.reviewers, split.treasury)
    payee: uint256 = tenure.payee_of(staticcall VAULT.operator_number(operator))
    credit_book._earn(payee, split.slot + split.oracle)
