# pragma version ~=0.4.3
"""
@title Credit Book
@license AGPL-3.0-only
@notice What the market keeps for queries and owes to accounts, each in one word. What somebody
        earned waits for at least one window, so that the fee of an overturned answer is still
        there; what goes back to a client does not wait.
@dev Sums are NES units; the supply is capped at 10**18 of them, so none outgrows its 64 bits.
"""

# One account: matured (72 bits, lowest) | recent (64) | older (64) | period (56). `recent` was
# earned in `period`, `older` in the one before.
struct Credit:
    matured: uint256
    recent: uint256
    older: uint256
    period: uint256

MASK_56: constant(uint256) = 2**56 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_72: constant(uint256) = 2**72 - 1

EARMARKED_UNIT: constant(uint256) = 1
CREDITS_UNIT: constant(uint256) = 2**64
QUERY_UNIT: constant(uint256) = 2**128

# Seconds of one period.
CREDIT_WINDOW: immutable(uint256)

# total_earmarked (64 bits, lowest) | total_credits (64) | last_query_id (128): one word, because
# every request and every report change two of them.
_totals: uint256

_credits: HashMap[address, uint256]


@deploy
def __init__(credit_window: uint256):
    """
    @notice Fixes for how long earnings wait.
    @param credit_window Seconds; earnings wait for one to two of them.
    """
    assert credit_window != 0, "market: no credit window"
    CREDIT_WINDOW = credit_window


@external
@view
def total_earmarked() -> uint256:
    """
    @notice Fees that the market keeps for queries.
    @return NES units.
    """
    return self._totals & MASK_64


@external
@view
def total_credits() -> uint256:
    """
    @notice What the market owes to accounts.
    @return NES units.
    """
    return (self._totals >> 64) & MASK_64


@external
@view
def last_query_id() -> uint256:
    """
    @notice Number of the newest query.
    @return Zero before the first.
    """
    return self._totals >> 128


@external
@view
def credit_of(account: address) -> (uint256, uint256):
    """
    @notice What the market owes to an account.
    @param account The account.
    @return NES units that can be withdrawn now, and NES units that still wait.
    """
    return self._balance(account)


@internal
def _open(fee: uint256) -> uint256:
    # Earmarks the fee of a new query and numbers it.
    totals: uint256 = self._totals + fee * EARMARKED_UNIT + QUERY_UNIT
    self._totals = totals
    return totals >> 128


@internal
def _release(amount: uint256):
    # Turns earmarked money into credits, which the caller hands out in the same transaction.
    self._totals = self._totals + amount * CREDITS_UNIT - amount * EARMARKED_UNIT


@internal
def _earn(account: address, amount: uint256):
    if amount == 0:
        return
    credit: Credit = self._aged(account)
    credit.recent += amount
    self._store(account, credit)


@internal
def _return(account: address, amount: uint256):
    # A client's own money: it does not wait.
    credit: Credit = self._aged(account)
    credit.matured += amount
    self._store(account, credit)


@internal
def _take(account: address) -> uint256:
    # Empties what an account may withdraw; the caller pays it out.
    credit: Credit = self._aged(account)
    amount: uint256 = credit.matured
    assert amount != 0, "market: nothing to withdraw"
    credit.matured = 0
    self._store(account, credit)
    self._totals -= amount * CREDITS_UNIT
    return amount


@internal
@view
def _balance(account: address) -> (uint256, uint256):
    credit: Credit = self._aged(account)
    return credit.matured, credit.recent + credit.older


@internal
@view
def _aged(account: address) -> Credit:
    # The account's word as of now: what was earned two periods ago or earlier has matured.
    word: uint256 = self._credits[account]
    now: uint256 = block.timestamp // CREDIT_WINDOW
    credit: Credit = Credit(
        matured=word & MASK_72,
        recent=(word >> 72) & MASK_64,
        older=(word >> 136) & MASK_64,
        period=now,
    )
    periods: uint256 = now - (word >> 200)
    if periods == 0:
        return credit
    credit.matured += credit.older
    credit.older = credit.recent
    credit.recent = 0
    if periods > 1:
        credit.matured += credit.older
        credit.older = 0
    return credit


@internal
def _store(account: address, credit: Credit):
    self._credits[account] = (
        credit.matured | (credit.recent << 72) | (credit.older << 136) | (credit.period << 200)
    )
