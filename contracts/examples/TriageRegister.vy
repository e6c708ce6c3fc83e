# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Triage Register
@license AGPL-3.0-only
@notice A clinic's register of tumour cases: it asks a model whether a case looks malignant and
        keeps the verdict. Each case is asked about once, so that nobody can ask until the answer
        is pleasing; only a query that was refunded can be asked again.
@dev An example of a consumer. A register that acts on verdicts should order PROVED, or wait until
     the market says FINAL: an AGREED answer can be overturned within its dispute window.
@custom:invariant 1. A case has one verdict and never another:
    tests/contracts/examples/test_triage_register.py::test_a_decided_case_stays_decided
@custom:kill The clinic stops asking and withdraws the rest of its NES.
"""
from ethereum.ercs import IERC20

from ..interfaces import INesaConsumer
from ..interfaces import IQueryMarket

implements: INesaConsumer

from ..lib import nesa_consumer

initializes: nesa_consumer

# What the register knows of a case.
flag CaseStatus:
    WAITING
    DECIDED

# How the model sees it.
flag Verdict:
    MALIGNANT
    BENIGN

struct Case:
    status: CaseStatus
    verdict: Verdict
    margin: uint256  # distance of the two logits, in the model's own steps
    query_id: uint256

event TriageAsked:
    case_id: indexed(bytes32)
    query_id: indexed(uint256)

event TriageDecided:
    case_id: indexed(bytes32)
    verdict: Verdict
    margin: uint256

event TriageFailed:
    case_id: indexed(bytes32)
    query_id: indexed(uint256)

FEATURES: constant(uint256) = 30
LOGIT_BYTES: constant(uint256) = 4
CALLBACK_GAS: constant(uint256) = 150_000
REPLICAS: constant(uint256) = 4

CLINIC: immutable(address)
VERSION_ID: immutable(bytes32)

# Cases by the clinic's own number.
cases: public(HashMap[bytes32, Case])


@deploy
def __init__(market: address, token: address, version_id: bytes32):
    """
    @notice Binds the register to one version of one model; the deployer is the clinic.
    @param market The query market.
    @param token NES.
    @param version_id Version that answers.
    """
    nesa_consumer.__init__(market, token)
    CLINIC = msg.sender
    VERSION_ID = version_id


# === Clinic ===


@external
def ask_triage(case_id: bytes32, features: Bytes[30], max_fee: uint256) -> uint256:
    """
    @notice Asks about a case; the register pays out of its own NES.
    @param case_id The clinic's number of the case; not zero.
    @param features 30 features as int8, quantised as the model card says.
    @param max_fee NES units that the answer may cost.
    @return Number of the query.
    """
    assert msg.sender == CLINIC, "triage: not the clinic"
    assert len(features) == FEATURES, "triage: not 30 features"
    assert self.cases[case_id].status == empty(CaseStatus), "triage: already asked"

    order: IQueryMarket.Order = IQueryMarket.Order(
        version_id=VERSION_ID,
        assurance=IQueryMarket.Assurance.AGREED,
        privacy=IQueryMarket.Privacy.OPEN,
        replicas=REPLICAS,
        max_fee=max_fee,
        callback_gas=CALLBACK_GAS,
        input_digest=empty(bytes32),
    )
    query_id: uint256 = nesa_consumer._ask(order, features, case_id)
    self.cases[case_id] = Case(
        status=CaseStatus.WAITING, verdict=empty(Verdict), margin=0, query_id=query_id
    )
    log TriageAsked(case_id=case_id, query_id=query_id)
    return query_id


@external
def withdraw(amount: uint256):
    """
    @notice Gives NES of the register back to the clinic.
    @param amount NES units.
    """
    assert msg.sender == CLINIC, "triage: only the clinic"
    sent: bool = extcall nesa_consumer.TOKEN.transfer(CLINIC, amount)
    assert sent, "triage: not sent"


# === Market ===


@external
def on_answer(
    query_id: uint256,
    version_id: bytes32,
    assurance: IQueryMarket.Assurance,
    output: Bytes[1024],
):
    """
    @notice Receives the answer from the market.
    @param query_id Number of the query.
    @param version_id Version that answered.
    @param assurance How the answer is backed.
    @param output Two int16 logits, little-endian: malignant, benign.
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
    @notice Takes the fee of a refunded or overturned query back, so that its case can be asked about again.
    @param query_id Number of the query.
    """
    case_id: bytes32 = nesa_consumer._give_up(query_id)
    self.cases[case_id] = empty(Case)
    log TriageFailed(case_id=case_id, query_id=query_id)


@external
def fetch_credit():
    """
    @notice Takes what the market owes to the register, as slots that nobody claimed.
    """
    nesa_consumer._fetch_credit()


# === Internals ===


@internal
def _decide(case_id: bytes32, output: Bytes[1024]):
    assert len(output) == LOGIT_BYTES, "triage: not two logits"
    malignant: int256 = self._logit(output, 0)
    benign: int256 = self._logit(output, 2)
    # When in doubt, malignant: somebody should look.
    verdict: Verdict = Verdict.MALIGNANT if malignant >= benign else Verdict.BENIGN
    margin: uint256 = convert(abs(malignant - benign), uint256)
    self.cases[case_id].status = CaseStatus.DECIDED
    self.cases[case_id].verdict = verdict
    self.cases[case_id].margin = margin
    log TriageDecided(case_id=case_id, verdict=verdict, margin=margin)


@internal
@pure
def _logit(output: Bytes[1024], start: uint256) -> int256:
    # Little-endian two's complement of two bytes.
    low: uint256 = convert(slice(output, start, 1), uint256)
    high: uint256 = convert(slice(output, start + 1, 1), uint256)
    logit: int256 = convert(low | (high << 8), int256)
    return logit if logit < 2**15 else logit - 2**16
