# pragma version ~=0.4.3
"""
@title Nesa Consumer
@license AGPL-3.0-only
@notice What a contract needs to ask queries and to receive their answers safely. Import it,
        `initializes: nesa_consumer`, call `_ask`, and begin the external `on_answer` (see
        `INesaConsumer`) with `_accept`: it refuses every caller but the market, every query that
        this contract did not ask, and every second answer.
@dev Each query carries one word of the contract's own, its topic: what the answer is about.
"""
from ethereum.ercs import IERC20

from ..interfaces import IQueryMarket

MARKET: immutable(IQueryMarket)
TOKEN: immutable(IERC20)

# Topics of queries without an answer yet, by query id; zero when there is nothing to wait for.
_topics: HashMap[uint256, bytes32]


@deploy
def __init__(market: address, token: address):
    """
    @notice Binds the contract to one market and lets that pull fees.
    @param market The query market.
    @param token NES.
    """
    MARKET = IQueryMarket(market)
    TOKEN = IERC20(token)
    assert extcall IERC20(token).approve(market, max_value(uint256)), "consumer: not approved"


@internal
def _ask(order: IQueryMarket.Order, input: Bytes[4096], topic: bytes32) -> uint256:
    """
    @notice Asks a query that this contract pays for out of its own NES.
    @param order What to ask.
    @param input Canonical bytes of the input tensor, or ciphertext.
    @param topic What the answer is about; not zero.
    @return Number of the query.
    """
    assert topic != empty(bytes32), "consumer: no topic"
    query_id: uint256 = extcall MARKET.request(order, input)
    self._topics[query_id] = topic
    return query_id


@internal
def _accept(query_id: uint256) -> bytes32:
    """
    @notice Lets an answer in: once, from the market, to a question of this contract.
    @param query_id Number that came with the answer.
    @return The query's topic.
    """
    assert msg.sender == MARKET.address, "consumer: not the market"
    return self._resolve(query_id)


@internal
def _accept_late(
    query: IQueryMarket.Query, outcome: IQueryMarket.Outcome, output: Bytes[1024]
) -> bytes32:
    """
    @notice Lets an answer in whose callback failed: the market calls once and never again, but
            anybody can bring what the market's event said. A CHALLENGED answer only once it is
            final.
    @param query Terms of the query.
    @param outcome Its outcome as last announced.
    @param output The answer.
    @return The query's topic.
    """
    status: IQueryMarket.QueryStatus = staticcall MARKET.status_of(query.query_id)
    answered: bool = status in (IQueryMarket.QueryStatus.FULFILLED | IQueryMarket.QueryStatus.FINAL)
    assert answered, "consumer: not answered"
    challenged: bool = query.assurance == IQueryMarket.Assurance.CHALLENGED
    final: bool = status == IQueryMarket.QueryStatus.FINAL
    assert final or not challenged, "consumer: still disputable"
    assert staticcall MARKET.verify_outcome(query, outcome), "consumer: not the outcome"
    assert keccak256(output) == outcome.output_hash, "consumer: not the output"
    return self._resolve(query.query_id)


@internal
def _give_up(query_id: uint256) -> bytes32:
    """
    @notice Ends the wait for a query that was refunded or overturned, and takes the money.
    @param query_id Number of the query.
    @return The query's topic.
    """
    status: IQueryMarket.QueryStatus = staticcall MARKET.status_of(query_id)
    ended: bool = status in (
        IQueryMarket.QueryStatus.REFUNDED | IQueryMarket.QueryStatus.OVERTURNED
    )
    assert ended, "consumer: not refunded"
    self._fetch_credit()
    return self._resolve(query_id)


@internal
def _fetch_credit():
    """
    @notice Takes what the market owes to this contract, if anything.
    """
    ready: uint256 = 0
    waiting: uint256 = 0
    ready, waiting = staticcall MARKET.credit_of(self)
    if ready != 0:
        extcall MARKET.withdraw(self)


@internal
def _resolve(query_id: uint256) -> bytes32:
    topic: bytes32 = self._topics[query_id]
    assert topic != empty(bytes32), "consumer: not asked"
    self._topics[query_id] = empty(bytes32)
    return topic
