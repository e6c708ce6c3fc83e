# pragma version ~=0.4.3
"""
@title Parameter Words Harness
@license AGPL-3.0-only
@notice Opens the parameter_words module to tests.
"""
from contracts.interfaces import IProtocolParameters
from contracts.lib import parameter_words


@external
@pure
def pack_query_parameters(rules: IProtocolParameters.QueryParameters) -> uint256:
    return parameter_words.pack_query_parameters(rules)


@external
@pure
def unpack_query_parameters(word: uint256) -> IProtocolParameters.QueryParameters:
    return parameter_words.unpack_query_parameters(word)


@external
@pure
def pack_request_limits(limits: IProtocolParameters.RequestLimits) -> uint256:
    return parameter_words.pack_request_limits(limits)


@external
@pure
def unpack_request_limits(word: uint256) -> IProtocolParameters.RequestLimits:
    return parameter_words.unpack_request_limits(word)


@external
@pure
def seat_stake(word: uint256) -> uint256:
    return parameter_words.seat_stake(word)
