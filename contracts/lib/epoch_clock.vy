# pragma version ~=0.4.3
"""
@title Epoch Clock
@license AGPL-3.0-only
@notice Counts epochs: block time divided by a length that never changes.
"""

EPOCH_SECONDS: immutable(uint256)


@deploy
def __init__(epoch_seconds: uint256):
    """
    @notice Fixes the length of an epoch.
    @param epoch_seconds Seconds, not zero.
    """
    assert epoch_seconds != 0, "vault: no epoch"
    EPOCH_SECONDS = epoch_seconds


@external
@view
def epoch_seconds() -> uint256:
    """
    @notice Length of an epoch; never changes.
    @return Seconds.
    """
    return EPOCH_SECONDS


@external
@view
def epoch() -> uint256:
    """
    @notice The current epoch: block time divided by `epoch_seconds`.
    @return Its number.
    """
    return self._epoch()


@internal
@view
def _epoch() -> uint256:
    return block.timestamp // EPOCH_SECONDS
