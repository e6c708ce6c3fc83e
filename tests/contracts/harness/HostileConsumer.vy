# pragma version ~=0.4.3
"""
@title Hostile Consumer
@license AGPL-3.0-only
@notice Asks queries and does something bad in the callback.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import IQueryMarket

flag Temper:
    KIND        # counts answers and the gas that it got
    REVERTS
    BURNS_GAS
    CALLS_BACK  # sends the calls that it was given to the market, and counts the successes
    ASKS_AGAIN

MARKET: immutable(IQueryMarket)

temper: Temper
order: IQueryMarket.Order
input: Bytes[4096]
calls: DynArray[Bytes[8192], 4]

answers: public(uint256)
gas_got: public(uint256)
succeeded: public(uint256)
asked_inside: public(uint256)


@deploy
def __init__(market: address, token: address):
    MARKET = IQueryMarket(market)
    extcall IERC20(token).approve(market, max_value(uint256))


@external
def behave(temper: Temper):
    self.temper = temper


@external
def prepare(calls: DynArray[Bytes[8192], 4]):
    self.calls = calls


@external
def ask(order: IQueryMarket.Order, input: Bytes[4096]) -> uint256:
    self.order = order
    self.input = input
    return extcall MARKET.request(order, input)


@external
def on_answer(
    query_id: uint256,
    version_id: bytes32,
    assurance: IQueryMarket.Assurance,
    output: Bytes[1024],
):
    if self.temper == Temper.KIND:
        self.gas_got = msg.gas
        self.answers += 1
    elif self.temper == Temper.REVERTS:
        raise "no thanks"
    elif self.temper == Temper.BURNS_GAS:
        for i: uint256 in range(2**64):
            pass
    elif self.temper == Temper.CALLS_BACK:
        for call: Bytes[8192] in self.calls:
            success: bool = raw_call(MARKET.address, call, revert_on_failure=False)
            if success:
                self.succeeded += 1
        self.answers += 1
    elif self.temper == Temper.ASKS_AGAIN:
        self.asked_inside = extcall MARKET.request(self.order, self.input)
        self.answers += 1

