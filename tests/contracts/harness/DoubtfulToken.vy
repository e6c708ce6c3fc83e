# pragma version ~=0.4.3
"""
@title Doubtful Token
@license AGPL-3.0-only
@notice Stands in for a token that says no by what it returns, not by a revert.
"""

pays: bool


@external
def behave(pays: bool):
    self.pays = pays


@external
def approve(spender: address, amount: uint256) -> bool:
    return self.pays


@external
def transfer(to: address, amount: uint256) -> bool:
    return self.pays


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    return self.pays


@external
def burn(amount: uint256):
    pass
