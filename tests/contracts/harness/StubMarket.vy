# pragma version ~=0.4.3
# pragma evm-version prague
"""
@title Stub Market
@license AGPL-3.0-only
@notice A market to which every outcome is right, for models that are too large to be asked whole.
"""
from contracts.interfaces import IQueryMarket


@external
@view
def verify_outcome(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome) -> bool:
    """
    @notice Always true.
    @param query Not read.
    @param outcome Not read.
    @return True.
    """
    return True


@external
def hold(
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
    shard: uint256,
    payees: DynArray[uint256, 8],
):
    """
    @notice Does nothing.
    @param query Not read.
    @param outcome Not read.
    @param shard Not read.
    @param payees Not read.
    """
    pass


@external
def release(
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
    shard: uint256,
    payees: DynArray[uint256, 8],
):
    """
    @notice Does nothing.
    @param query Not read.
    @param outcome Not read.
    @param shard Not read.
    @param payees Not read.
    """
    pass


@external
def overturn(
    query: IQueryMarket.Query, outcome: IQueryMarket.Outcome, shard: uint256
) -> uint256:
    """
    @notice Does nothing.
    @param query Not read.
    @param outcome Not read.
    @param shard Not read.
    @return Zero.
    """
    return 0
