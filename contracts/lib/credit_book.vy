# pragma version ~=0.4.3
"""
@title Credit Book
@license AGPL-3.0-only
@notice What the market keeps for queries and owes to accounts, packed by hand: a report writes one
        word for each worker and one for everybody who has a share in the version.
@dev Sums are NES units; the supply is capped at 10**18 of them, so no sum outgrows its 64 bits and
     fields of a word can be added to in place.
"""

from . import tenure

MASK_64: constant(uint256) = 2**64 - 1
MASK_72: constant(uint256) = 2**72 - 1

# `_owed` is total_owed (128 bits, lowest) | last_query_id (128).
QUERY_UNIT: constant(uint256) = 2**128
OWED_MASK: constant(uint256) = 2**128 - 1

# A version's word is open_fees (64 bits, lowest) | royalty (64) | reviewers (64) | treasury (64);
# fees of proved queries are not among the open ones, for nobody can lie in a proof.
ROYALTY_SHIFT: constant(uint256) = 64
REVIEWERS_SHIFT: constant(uint256) = 128
TREASURY_SHIFT: constant(uint256) = 192

# A payee is an account, by its address, or an operator, by its number above the 160 bits of
# addresses. A payee's word is matured (72 bits, lowest) | recent (64) | older (64) | period (56). `recent`
# was earned in `period`, `older` in the one before.
RECENT_SHIFT: constant(uint256) = 72
OLDER_SHIFT: constant(uint256) = 136
PERIOD_SHIFT: constant(uint256) = 200

# Seconds of one period.
CREDIT_WINDOW: immutable(uint256)

_owed: uint256
_versions: HashMap[bytes32, uint256]
_credits: HashMap[uint256, uint256]


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
def total_owed() -> uint256:
    """
    @notice Everything that the market keeps: fees of open queries, slots that can be claimed or
            are set aside, fees of deliveries to come, shares and credits.
    @return NES units.
    """
    return self._owed & OWED_MASK


@external
@view
def last_query_id() -> uint256:
    """
    @notice Number of the newest query.
    @return Zero before the first.
    """
    return self._owed // QUERY_UNIT


@external
@view
def open_fees(version_id: bytes32) -> uint256:
    """
    @notice Fees of a version's unanswered queries, but for proved ones.
    @param version_id The version.
    @return NES units.
    """
    return self._versions[version_id] & MASK_64


@external
@view
def shares_of(version_id: bytes32) -> (uint256, uint256, uint256):
    """
    @notice Shares of a version's fees that `collect` would hand out.
    @param version_id The version.
    @return NES units of the developer, of the reviewers and of the treasury.
    """
    return self._shares(version_id)


# === Queries ===


@internal
def _open(version_id: bytes32, fee: uint256, exposed: uint256, cap: uint256) -> uint256:
    # Takes the fee of a new query into the book and numbers it; `exposed` of it is open, and the
    # version's open fees stay within the cap.
    word: uint256 = self._versions[version_id]
    assert (word & MASK_64) + exposed <= cap, "market: exposure cap"
    owed: uint256 = self._owed + fee + QUERY_UNIT
    self._owed = owed
    self._versions[version_id] = word + exposed
    return owed // QUERY_UNIT


@internal
def _share(
    version_id: bytes32, exposed: uint256, royalty: uint256, reviewers: uint256, treasury: uint256
):
    # An answered query leaves the version's open fees, and its shares to those who collect.
    shares: uint256 = (
        (royalty << ROYALTY_SHIFT) | (reviewers << REVIEWERS_SHIFT) | (treasury << TREASURY_SHIFT)
    )
    self._versions[version_id] = self._versions[version_id] + shares - exposed


@internal
def _cancel(version_id: bytes32, exposed: uint256):
    # An unanswered query leaves the version's open fees.
    self._versions[version_id] -= exposed


@internal
def _collect(version_id: bytes32) -> (uint256, uint256, uint256):
    # Empties a version's shares, which the caller credits in the same transaction.
    royalty: uint256 = 0
    reviewers: uint256 = 0
    treasury: uint256 = 0
    royalty, reviewers, treasury = self._shares(version_id)
    self._versions[version_id] &= MASK_64
    return royalty, reviewers, treasury


@internal
@view
def _shares(version_id: bytes32) -> (uint256, uint256, uint256):
    word: uint256 = self._versions[version_id]
    return (
        (word >> ROYALTY_SHIFT) & MASK_64,
        (word >> REVIEWERS_SHIFT) & MASK_64,
        word >> TREASURY_SHIFT,
    )


# === Payees ===


@internal
@view
def _credit(payee: uint256) -> (uint256, uint256):
    # What may be withdrawn now, and what still waits.
    word: uint256 = self._aged(payee)
    waiting: uint256 = ((word >> RECENT_SHIFT) & MASK_64) + ((word >> OLDER_SHIFT) & MASK_64)
    return word & MASK_72, waiting


@internal
def _earn(payee: uint256, amount: uint256):
    self._credits[payee] = self._aged(payee) + (amount << RECENT_SHIFT)


@internal
def _return(payee: uint256, amount: uint256):
    # A client's own money: it does not wait.
    self._credits[payee] = self._aged(payee) + amount


@internal
def _set_aside(payee: uint256, amount: uint256) -> bool:
    # Takes earnings back, those that waited longest first and what has matured last. Who has less
    # left keeps it.
    word: uint256 = self._aged(payee)
    older: uint256 = (word >> OLDER_SHIFT) & MASK_64
    recent: uint256 = (word >> RECENT_SHIFT) & MASK_64
    if older + recent + (word & MASK_72) < amount:
        return False
    from_older: uint256 = min(older, amount)
    from_recent: uint256 = min(recent, amount - from_older)
    waiting: uint256 = (from_older << OLDER_SHIFT) + (from_recent << RECENT_SHIFT)
    self._credits[payee] = word - waiting - (amount - from_older - from_recent)
    return True


@internal
def _take(payee: uint256) -> uint256:
    # Empties what a payee may withdraw, if anything; the caller pays it out.
    word: uint256 = self._aged(payee)
    amount: uint256 = word & MASK_72
    if amount == 0:
        return 0
    self._credits[payee] = word - amount
    self._owed -= amount
    return amount


@internal
@view
def _credit_of(account: address, number: uint256) -> (uint256, uint256):
    # What an account may withdraw, and what still waits: by its address and, where it is an
    # operator, by its number, which is zero else.
    ready: uint256 = 0
    waiting: uint256 = 0
    ready, waiting = self._credit(convert(account, uint256))
    if number == 0:
        return ready, waiting
    earned: uint256 = 0
    waiting_too: uint256 = 0
    earned, waiting_too = self._credit(tenure.payee_of(number))
    return ready + earned, waiting + waiting_too


@internal
def _take_all(account: address, number: uint256) -> uint256:
    # Empties what an account may withdraw, as above; the caller pays it out.
    amount: uint256 = self._take(convert(account, uint256))
    if number != 0:
        amount += self._take(tenure.payee_of(number))
    return amount


@internal
@view
def _aged(payee: uint256) -> uint256:
    # The payee's word as of now: what was earned two periods ago or earlier has matured.
    word: uint256 = self._credits[payee]
    now: uint256 = block.timestamp // CREDIT_WINDOW
    periods: uint256 = now - (word >> PERIOD_SHIFT)
    if periods == 0:
        return word

    recent: uint256 = (word >> RECENT_SHIFT) & MASK_64
    matured: uint256 = (word & MASK_72) + ((word >> OLDER_SHIFT) & MASK_64)
    if periods == 1:
        return matured | (recent << OLDER_SHIFT) | (now << PERIOD_SHIFT)
    return (matured + recent) | (now << PERIOD_SHIFT)
