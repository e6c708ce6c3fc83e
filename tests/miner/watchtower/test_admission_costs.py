"""What evictions by developers' own contracts may cost in a day."""

from __future__ import annotations

from nesa.chain.unadmitted import EVICTION_GAS, RestrictedVersion
from nesa.protocol.ids import Address, VersionId
from nesa_miner.watchtower.admission_costs import DAY_SECONDS, FAIR_GAS, AdmissionCosts

CUSTOM = Address("0x00000000000000000000000000000000C0DEAD00")
LIST = Address("0x00000000000000000000000000000000C0DEAD01")
FIRST, SECOND = (
    RestrictedVersion(VersionId(bytes([number] * 32)), CUSTOM, is_listed=False) for number in (1, 2)
)
LISTED, OTHER_LISTED = (
    RestrictedVersion(VersionId(bytes([number] * 32)), LIST, is_listed=True) for number in (3, 4)
)


def test_the_days_gas_is_shared_and_comes_back() -> None:
    now = 1_000.0
    costs = AdmissionCosts(lambda: now, 2 * EVICTION_GAS)
    assert costs.can_pay(FIRST)
    costs.count(FIRST, FAIR_GAS)
    assert costs.can_pay(SECOND)
    for _ in range(4):
        costs.count(SECOND, FAIR_GAS)
    assert not costs.can_pay(FIRST)
    assert costs.can_pay(LISTED)
    now += DAY_SECONDS
    assert costs.can_pay(FIRST)


def test_a_contract_answers_for_all_its_versions_and_a_list_for_none() -> None:
    now = 1_000.0
    costs = AdmissionCosts(lambda: now, EVICTION_GAS)
    costs.count(FIRST, FAIR_GAS)
    assert costs.may_ask(SECOND)
    costs.count(FIRST, FAIR_GAS + 1)
    costs.leave_alone(LISTED)
    assert not costs.may_ask(SECOND)
    assert not costs.may_ask(LISTED)
    assert costs.may_ask(OTHER_LISTED)
    now += DAY_SECONDS
    assert costs.may_ask(SECOND)
    assert costs.may_ask(LISTED)


def test_a_refusal_leaves_the_other_versions_of_a_contract() -> None:
    """Its attestor may be honest: an operator turns its keys to and fro."""
    costs = AdmissionCosts(lambda: 1_000.0, EVICTION_GAS)
    costs.leave_alone(FIRST)
    assert not costs.may_ask(FIRST)
    assert costs.may_ask(SECOND)


def test_what_is_not_mined_counts_and_is_nobodys_fault() -> None:
    costs = AdmissionCosts(lambda: 1_000.0, EVICTION_GAS)
    assert costs.can_pay(FIRST)
    costs.count_unmined(FIRST, EVICTION_GAS)
    assert costs.may_ask(FIRST)
    assert not costs.can_pay(FIRST)


def test_what_lists_cost_takes_nothing_of_the_days_gas() -> None:
    costs = AdmissionCosts(lambda: 1_000.0, EVICTION_GAS)
    assert costs.can_pay(FIRST)
    costs.count(LISTED, EVICTION_GAS)
    assert costs.can_pay(FIRST)
