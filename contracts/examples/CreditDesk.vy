# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Credit Desk
@license AGPL-3.0-only
@notice A lender's desk that lends NES when a model says so, and never sees whom it lends to: the
        applicant's numbers are asked about sealed, and the chain verifies a proof of the answer.
        Each borrower is decided about once, so that nobody asks until the answer is pleasing.
@dev An example of a consumer. A proof says what the model makes of some input under
     `input_digest`. That these are the borrower's numbers, and true, the clerk answers for, who saw
     them. The version must have circuits that hash its input and show its answer.
@custom:invariant 1. A borrower has one decision and never another:
    tests/contracts/examples/test_credit_desk.py::test_a_borrower_is_decided_about_once
    2. Only a granted credit is paid out, to its borrower, once:
    tests/contracts/examples/test_credit_desk.py::test_a_granted_credit_is_collected_once
@custom:kill The clerk stops asking and withdraws the rest of its NES.
"""
from ethereum.ercs import IERC20

from ..interfaces import INesaConsumer
from ..interfaces import IQueryMarket

implements: INesaConsumer

from ..lib import nesa_consumer

initializes: nesa_consumer

# Where an application stands.
flag CreditStatus:
    WAITING
    REFUSED
    GRANTED
    COLLECTED

struct Credit:
    status: CreditStatus
    amount: uint256
    query_id: uint256

event CreditAsked:
    borrower: indexed(address)
    query_id: indexed(uint256)

event CreditDecided:
    borrower: indexed(address)
    is_granted: bool

event CreditCollected:
    borrower: indexed(address)
    amount: uint256

event CreditFailed:
    borrower: indexed(address)
    query_id: indexed(uint256)

LOGIT_BYTES: constant(uint256) = 4
CALLBACK_GAS: constant(uint256) = 100_000

CLERK: immutable(address)
VERSION_ID: immutable(bytes32)

# Applications by their borrowers.
credits: public(HashMap[address, Credit])


@deploy
def __init__(market: address, token: address, version_id: bytes32):
    """
    @notice Binds the desk to one version of one model; the deployer is the clerk.
    @param market The query market.
    @param token NES.
    @param version_id Version that answers.
    """
    nesa_consumer.__init__(market, token)
    CLERK = msg.sender
    VERSION_ID = version_id


# === Clerk ===


@external
def ask_credit(
    borrower: address,
    amount: uint256,
    input_digest: bytes32,
    ciphertext: Bytes[4096],
    max_fee: uint256,
) -> uint256:
    """
    @notice Asks whether a borrower gets a credit; the desk pays out of its own NES.
    @param borrower Who may collect it.
    @param amount NES units to lend.
    @param input_digest What the proof will show of the borrower's numbers, see `Client.seal`.
    @param ciphertext The numbers, sealed to whoever is drawn.
    @param max_fee NES units that the answer may cost.
    @return Number of the query.
    """
    self._check_clerk()
    assert self.credits[borrower].status == empty(CreditStatus), "credit: already asked"

    order: IQueryMarket.Order = IQueryMarket.Order(
        version_id=VERSION_ID,
        assurance=IQueryMarket.Assurance.PROVED,
        privacy=IQueryMarket.Privacy.SEALED,
        replicas=1,
        max_fee=max_fee,
        callback_gas=CALLBACK_GAS,
        input_digest=input_digest,
    )
    query_id: uint256 = nesa_consumer._ask(order, ciphertext, convert(borrower, bytes32))
    self.credits[borrower] = Credit(
        status=CreditStatus.WAITING, amount=amount, query_id=query_id
    )
    log CreditAsked(borrower=borrower, query_id=query_id)
    return query_id


@external
def withdraw(amount: uint256):
    """
    @notice Gives NES of the desk back to the clerk.
    @param amount NES units.
    """
    self._check_clerk()
    self._pay(CLERK, amount)


# === Borrower ===


@external
def collect():
    """
    @notice Pays a granted credit out to its borrower.
    """
    credit: Credit = self.credits[msg.sender]
    assert credit.status == CreditStatus.GRANTED, "credit: not granted"
    self.credits[msg.sender].status = CreditStatus.COLLECTED
    log CreditCollected(borrower=msg.sender, amount=credit.amount)
    self._pay(msg.sender, credit.amount)


# === Market ===


@external
def on_answer(
    query_id: uint256,
    version_id: bytes32,
    assurance: IQueryMarket.Assurance,
    output: Bytes[1024],
):
    """
    @notice Receives the proved answer from the market.
    @param query_id Number of the query.
    @param version_id Version that answered.
    @param assurance How the answer is backed.
    @param output Two int16 logits, little-endian: refused, granted.
    """
    self._decide(nesa_consumer._accept(query_id), output)


# === Anybody ===


@external
def record_answer(
    query: IQueryMarket.Query, outcome: IQueryMarket.Outcome, output: Bytes[1024]
):
    """
    @notice Brings an answer whose callback failed, out of the market's own event.
    @param query Terms of the query.
    @param outcome Its outcome as last announced.
    @param output The answer.
    """
    self._decide(nesa_consumer._accept_late(query, outcome, output), output)


@external
def give_up(query_id: uint256):
    """
    @notice Takes the fee of a refunded query back, so that its borrower can be asked about again.
    @param query_id Number of the query.
    """
    borrower: address = self._borrower(nesa_consumer._give_up(query_id))
    self.credits[borrower] = empty(Credit)
    log CreditFailed(borrower=borrower, query_id=query_id)


@external
def fetch_credit():
    """
    @notice Takes what the market owes to the desk, as slots that nobody claimed.
    """
    nesa_consumer._fetch_credit()


# === Internals ===


@internal
@view
def _check_clerk():
    assert msg.sender == CLERK, "credit: not the clerk"


@internal
def _decide(topic: bytes32, output: Bytes[1024]):
    assert len(output) == LOGIT_BYTES, "credit: not two logits"
    borrower: address = self._borrower(topic)
    # When in doubt, refused.
    is_granted: bool = self._logit(output, 2) > self._logit(output, 0)
    self.credits[borrower].status = (
        CreditStatus.GRANTED if is_granted else CreditStatus.REFUSED
    )
    log CreditDecided(borrower=borrower, is_granted=is_granted)


@internal
def _pay(receiver: address, amount: uint256):
    sent: bool = extcall nesa_consumer.TOKEN.transfer(receiver, amount)
    assert sent, "credit: not sent"


@internal
@pure
def _borrower(topic: bytes32) -> address:
    return convert(convert(topic, uint256), address)


@internal
@pure
def _logit(output: Bytes[1024], start: uint256) -> int256:
    # Little-endian two's complement of two bytes.
    low: uint256 = convert(slice(output, start, 1), uint256)
    high: uint256 = convert(slice(output, start + 1, 1), uint256)
    logit: int256 = convert(low | (high << 8), int256)
    return logit if logit < 2**15 else logit - 2**16
