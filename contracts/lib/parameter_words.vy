# pragma version ~=0.4.3
"""
@title Parameter Words
@license AGPL-3.0-only
@notice The packed words of `ProtocolParameters`, first field in the lowest bits; the same as
        `nesa.protocol.parameters`.
"""
from ..interfaces import IProtocolParameters

MASK_8: constant(uint256) = 2**8 - 1
MASK_16: constant(uint256) = 2**16 - 1
MASK_24: constant(uint256) = 2**24 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_64: constant(uint256) = 2**64 - 1


@internal
@pure
def pack_query_parameters(rules: IProtocolParameters.QueryParameters) -> uint256:
    """
    @notice The word that the terms of a query carry.
    @param rules Every field within its bits.
    @return The word.
    """
    return (
        rules.miners_bps
        | (rules.oracle_bps << 16)
        | (rules.royalty_bps << 32)
        | (rules.reviewers_bps << 48)
        | (rules.oracle_turn << 64)
        | (rules.oracle_turns << 80)
        | (rules.prover_turn << 88)
        | (rules.prover_turns << 104)
        | (rules.answer_window << 112)
        | (rules.claim_window << 144)
        | (rules.dispute_window << 176)
        | (rules.defence_window << 208)
        | (rules.move_window << 232)
    )


@internal
@pure
def unpack_query_parameters(word: uint256) -> IProtocolParameters.QueryParameters:
    """
    @notice The parameters that `word` holds.
    @param word The word.
    @return The parameters.
    """
    return IProtocolParameters.QueryParameters(
        miners_bps=word & MASK_16,
        oracle_bps=(word >> 16) & MASK_16,
        royalty_bps=(word >> 32) & MASK_16,
        reviewers_bps=(word >> 48) & MASK_16,
        oracle_turn=(word >> 64) & MASK_16,
        oracle_turns=(word >> 80) & MASK_8,
        prover_turn=(word >> 88) & MASK_16,
        prover_turns=(word >> 104) & MASK_8,
        answer_window=(word >> 112) & MASK_32,
        claim_window=(word >> 144) & MASK_32,
        dispute_window=(word >> 176) & MASK_32,
        defence_window=(word >> 208) & MASK_24,
        move_window=word >> 232,
    )


@internal
@pure
def answer_window(word: uint256) -> uint256:
    """
    @notice How long a query may be answered, out of the packed query parameters.
    @param word The packed query parameters.
    @return Seconds.
    """
    return (word >> 112) & MASK_32


@internal
@pure
def dispute_window(word: uint256) -> uint256:
    """
    @notice How long an answer may be disputed, out of the packed query parameters.
    @param word The packed query parameters.
    @return Seconds.
    """
    return (word >> 176) & MASK_32


@internal
@pure
def pack_request_limits(limits: IProtocolParameters.RequestLimits) -> uint256:
    """
    @notice The word that requests and seats read.
    @param limits Every field within its bits.
    @return The word.
    """
    return (
        limits.callback_price
        | (limits.max_callback_gas << 32)
        | (limits.min_seats << 64)
        | (limits.seat_stake << 80)
        | (limits.exposure_bps << 144)
        | (limits.max_replicas << 160)
        | (limits.challenger_bond_bps << 168)
        | (limits.defence_penalty_bps << 184)
    )


@internal
@pure
def unpack_request_limits(word: uint256) -> IProtocolParameters.RequestLimits:
    """
    @notice The limits that `word` holds.
    @param word The word.
    @return The limits.
    """
    return IProtocolParameters.RequestLimits(
        callback_price=word & MASK_32,
        max_callback_gas=(word >> 32) & MASK_32,
        min_seats=(word >> 64) & MASK_16,
        seat_stake=self.seat_stake(word),
        exposure_bps=(word >> 144) & MASK_16,
        max_replicas=(word >> 160) & MASK_8,
        challenger_bond_bps=(word >> 168) & MASK_16,
        defence_penalty_bps=(word >> 184) & MASK_16,
    )


@internal
@pure
def seat_stake(word: uint256) -> uint256:
    """
    @notice Stake that a seat locks, out of the packed request limits.
    @param word The packed request limits.
    @return NES units.
    """
    return (word >> 80) & MASK_64
