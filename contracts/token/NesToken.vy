# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Nesa Token
@license AGPL-3.0-only
@notice NES, the unit that queries are paid in and operators stake: ERC-20 with permit, 9 decimals,
        at most 10**9 NES. So every sum fits 64 bits and ledgers pack into one word.
@dev There are no vote checkpoints: each transfer would write two of them, at the cost of every
     request. Governance will count votes elsewhere.
@custom:invariant 1. The supply never exceeds the cap:
    tests/contracts/token/test_mint.py::test_past_the_cap_reverts
    2. Only one account can ever mint after genesis:
    tests/contracts/token/test_set_minter.py::test_a_second_time_reverts
@custom:kill No switch.
"""
from ethereum.ercs import IERC20

implements: IERC20

from ..interfaces import INesToken

implements: INesToken

from snekmate.auth import ownable

initializes: ownable

from snekmate.tokens import erc20

initializes: erc20[ownable := ownable]

exports: (
    erc20.name,
    erc20.symbol,
    erc20.decimals,
    erc20.totalSupply,
    erc20.balanceOf,
    erc20.allowance,
    erc20.transfer,
    erc20.transferFrom,
    erc20.approve,
    erc20.burn,
    erc20.burn_from,
    erc20.permit,
    erc20.nonces,
    erc20.DOMAIN_SEPARATOR,
    erc20.eip712Domain,
    ownable.owner,
    ownable.transfer_ownership,
    ownable.renounce_ownership,
)

NAME: constant(String[25]) = "Nesa"
SYMBOL: constant(String[5]) = "NES"
DECIMALS: constant(uint8) = 9

# 10**9 NES in units.
CAP: constant(uint256) = 10**18

# The one account that may mint; zero until the owner names it.
minter: public(address)


@deploy
def __init__(genesis_holder: address, genesis_supply: uint256):
    """
    @notice Makes the genesis supply; the deployer owns the right to name the minter.
    @param genesis_holder Who receives it.
    @param genesis_supply NES units, at most the cap.
    """
    assert genesis_supply <= CAP, "token: over the cap"

    ownable.__init__()
    erc20.__init__(NAME, SYMBOL, DECIMALS, NAME, "1")
    erc20._mint(genesis_holder, genesis_supply)


# === Owner ===


@external
def set_minter(minter: address):
    """
    @notice Names the one contract that may mint, for good.
    @dev Only the owner, once.
    @param minter The reward emitter.
    """
    ownable._check_owner()
    assert self.minter == empty(address), "token: minter is set"
    assert minter != empty(address), "token: no minter"

    self.minter = minter
    log INesToken.MinterSet(minter=minter)


# === Minter ===


@external
def mint(account: address, amount: uint256):
    """
    @notice Makes new NES up to the cap.
    @dev Only the minter.
    @param account Who receives it.
    @param amount NES units.
    """
    assert msg.sender == self.minter, "token: not the minter"
    assert amount <= CAP - erc20.totalSupply, "token: beyond the cap"

    erc20._mint(account, amount)


# === Views ===


@external
@view
def cap() -> uint256:
    """
    @notice Supply that is never exceeded.
    @return NES units.
    """
    return CAP
