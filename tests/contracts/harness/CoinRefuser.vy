# pragma version ~=0.4.3
"""
@title Coin Refuser
@license AGPL-3.0-only
@notice Deposits with an escrow, and takes coin back only while told to; then it tries to be paid
        again from inside.
"""

interface Escrow:
    def deposit(query_id: uint256): payable
    def withdraw(account: address) -> uint256: nonpayable

ESCROW: immutable(Escrow)
accepts: public(bool)
received: public(uint256)


@deploy
def __init__(escrow: address):
    ESCROW = Escrow(escrow)


@external
@payable
def deposit(query_id: uint256):
    extcall ESCROW.deposit(query_id, value=msg.value)


@external
def accept():
    self.accepts = True


@external
@payable
def __default__():
    assert self.accepts, "harness: no coin"
    self.received += msg.value
    again: bool = raw_call(
        ESCROW.address,
        abi_encode(self, method_id=method_id("withdraw(address)")),
        revert_on_failure=False,
    )
    assert not again, "harness: paid twice"
