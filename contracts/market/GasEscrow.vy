# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Gas Escrow
@license AGPL-3.0-only
@notice Keeps native coin for whoever reports a query's answer.
@dev A depositor names a sum and no price of gas: what a report cost cannot be read after its block,
     and on rollups the base fee is the smaller part of it.
@custom:invariant 1. The balance is `total_held`, and more only by force:
    tests/invariants/test_gas_escrow.py::GasEscrowMachine.the_escrow_is_solvent
    2. A query's deposits go to its reporter or back to their depositors, and once:
    tests/invariants/test_gas_escrow.py::GasEscrowMachine.deposits_end_once
@custom:kill No switch.
"""
from ..interfaces import IGasEscrow
from ..interfaces import IQueryMarket

implements: IGasEscrow

MARKET: immutable(IQueryMarket)

total_held: public(uint256)
held_for: public(HashMap[uint256, uint256])
deposit_of: public(HashMap[uint256, HashMap[address, uint256]])
credit_of: public(HashMap[address, uint256])


@deploy
def __init__(market: address):
    """
    @notice Binds the escrow to one market for good.
    @param market The query market.
    """
    assert market != empty(address), "escrow: no market"
    MARKET = IQueryMarket(market)


@external
@payable
def deposit(query_id: uint256):
    """
    @notice Adds coin to what the reporter of an open query gets.
    """
    assert msg.value != 0, "escrow: nothing to deposit"
    status: IQueryMarket.QueryStatus = staticcall MARKET.status_of(query_id)
    assert status == IQueryMarket.QueryStatus.OPEN, "escrow: query is not open"

    total: uint256 = self.held_for[query_id] + msg.value
    self.held_for[query_id] = total
    self.deposit_of[query_id][msg.sender] += msg.value
    self.total_held += msg.value
    log IGasEscrow.GasDeposited(
        query_id=query_id, depositor=msg.sender, amount=msg.value, total=total
    )


@external
def settle(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome) -> uint256:
    """
    @notice Credits everything that waits for an answered query to its reporter.
    """
    kept: bool = staticcall MARKET.verify_outcome(query, outcome)
    assert kept, "escrow: other outcome"
    amount: uint256 = self.held_for[query.query_id]
    assert amount != 0, "escrow: nothing to settle"

    self.held_for[query.query_id] = 0
    self.credit_of[outcome.reporter] += amount
    log IGasEscrow.ReportPaid(
        query_id=query.query_id, reporter=outcome.reporter, amount=amount
    )
    return amount


@external
def reclaim(query_id: uint256, depositor: address) -> uint256:
    """
    @notice Credits a depositor with its own deposit when nobody is paid for the query.
    """
    status: IQueryMarket.QueryStatus = staticcall MARKET.status_of(query_id)
    refunded: bool = status == IQueryMarket.QueryStatus.REFUNDED
    overturned: bool = status == IQueryMarket.QueryStatus.OVERTURNED
    assert refunded or overturned, "escrow: not refunded"
    # Once the reporter has settled, nothing is held and nobody can reclaim.
    assert self.held_for[query_id] != 0, "escrow: nothing is held"
    amount: uint256 = self.deposit_of[query_id][depositor]
    assert amount != 0, "escrow: nothing to reclaim"

    self.deposit_of[query_id][depositor] = 0
    self.held_for[query_id] -= amount
    self.credit_of[depositor] += amount
    log IGasEscrow.DepositReclaimed(query_id=query_id, depositor=depositor, amount=amount)
    return amount


@external
def withdraw(account: address) -> uint256:
    """
    @notice Sends an account what it was credited.
    """
    amount: uint256 = self.credit_of[account]
    assert amount != 0, "escrow: nothing to withdraw"

    self.credit_of[account] = 0
    self.total_held -= amount
    log IGasEscrow.CoinWithdrawn(account=account, amount=amount)

    sent: bool = raw_call(account, b"", value=amount, revert_on_failure=False)
    assert sent, "escrow: coin was refused"
    return amount
