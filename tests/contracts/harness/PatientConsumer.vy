# pragma version ~=0.4.3
"""
@title Patient Consumer
@license AGPL-3.0-only
@notice Asks any order through the consumer module, and keeps the topic of what it was answered.
"""
from contracts.interfaces import INesaConsumer
from contracts.interfaces import IQueryMarket
from contracts.lib import nesa_consumer

implements: INesaConsumer
initializes: nesa_consumer

# Whether answers are refused, as if the callback ran out of gas.
deaf: bool
answered: public(bytes32)
given_up: public(bytes32)


@deploy
def __init__(market: address, token: address):
    nesa_consumer.__init__(market, token)


@external
def turn_away(deaf: bool):
    self.deaf = deaf


@external
def ask(order: IQueryMarket.Order, input: Bytes[4096], topic: bytes32) -> uint256:
    return nesa_consumer._ask(order, input, topic)


@external
def on_answer(
    query_id: uint256,
    version_id: bytes32,
    assurance: IQueryMarket.Assurance,
    output: Bytes[1024],
):
    assert not self.deaf, "patient: not now"
    self.answered = nesa_consumer._accept(query_id)


@external
def accept_late(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome, output: Bytes[1024]):
    self.answered = nesa_consumer._accept_late(query, outcome, output)


@external
def give_up(query_id: uint256):
    self.given_up = nesa_consumer._give_up(query_id)
