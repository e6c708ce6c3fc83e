"""Attacks with inputs that the chain knows by their digest only."""

import boa
import pytest

from nesa.protocol.queries import QueryStatus
from tests.contracts.market.test_long_tensors import DIGEST, LOCATOR, version
from tests.deployment import SUMMONS_RULES
from tests.market import go_to

__all__ = ["version"]

BOND = SUMMONS_RULES.bond


@pytest.fixture
def query(world, client, version):
    return world.request(client, version_id=version, input_digest=DIGEST, input=LOCATOR)


def test_an_input_withheld_makes_nobody_absent(world, client, summoning, query, outsider):
    """A client publishes its long input for nobody and summons every member, so that seats of its
    rival are jailed: who has no input is there all the same, and answers with an empty
    commitment."""
    before = world.lower.token.balanceOf(client)
    summoning.may_summon(query)
    calls = [summoning.summon(query, position, client) for position in range(4)]
    for call in calls:
        summoning.answer(call, sender=outsider)
        go_to(call.deadline + 1)
        with boa.reverts("summons: no such summons"):
            summoning.contract.declare_absent(call.as_abi(), sender=client)
        assert summoning.contract.misses(query.version_id, call.operator) == 0
        boa.env.evm.patch.timestamp = call.deadline
    go_to(query.answer_deadline + 1)
    world.market.refund(query.as_abi(), sender=outsider)
    assert world.market.status_of(query.query_id) == QueryStatus.REFUNDED
    assert world.waiting(client) + world.matured(client) == query.fee
    assert world.lower.token.balanceOf(client) == before - 4 * BOND
