# pragma version ~=0.4.3
"""
@title Emitter
@license AGPL-3.0-only
@notice Emits the market's logs on demand; stands in for every contract in tests of the SDK.
"""
from contracts.interfaces import IQueryMarket

answered: public(HashMap[uint256, bool])


@external
def pin(number: uint256):
    """
    @notice Emits one `SeedPinned`.
    """
    log IQueryMarket.SeedPinned(seed_block=number, seed=keccak256(convert(number, bytes32)))


@external
def pin_many(first: uint256, count: uint256):
    """
    @notice Emits `count` logs in one transaction.
    """
    for offset: uint256 in range(count, bound=64):
        number: uint256 = first + offset
        log IQueryMarket.SeedPinned(seed_block=number, seed=keccak256(convert(number, bytes32)))


@external
def answer(number: uint256):
    """
    @notice Works once a number, like the report of a query.
    """
    assert not self.answered[number], "emitter: already answered"
    self.answered[number] = True
    log IQueryMarket.SeedPinned(seed_block=number, seed=empty(bytes32))


@external
def overflow(number: uint256) -> uint256:
    """
    @notice Reverts without a reason.
    """
    return max_value(uint256) + number


@external
@view
def two(number: uint256) -> (uint256, address):
    """
    @notice A read with two values.
    """
    return number, self
