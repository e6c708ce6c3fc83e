"""The emitter's one knob, and what it is bound to for good."""

import boa
import pytest

from nesa.protocol.emission import MAX_SHARE_BPS
from nesa.protocol.ids import ONE_NES
from tests.contracts.token.emitter.conftest import (
    HALVING_PERIODS,
    PERIOD_SECONDS,
    SHARE_BPS,
    deploy_emitter,
)
from tests.deployment import GENESIS_SUPPLY
from tests.market import pass_blocks

ROOM = 10**18 - GENESIS_SUPPLY


def test_a_new_share_holds_from_the_next_period(emitter, owner):
    emitter.set_share(MAX_SHARE_BPS, sender=owner)
    assert emitter.share_bps() == SHARE_BPS
    pass_blocks(1, PERIOD_SECONDS)
    assert emitter.share_bps() == MAX_SHARE_BPS


def test_a_second_thought_takes_the_place_of_the_first(emitter, owner):
    emitter.set_share(1, sender=owner)
    emitter.set_share(2, sender=owner)
    assert emitter.share_bps() == SHARE_BPS
    pass_blocks(1, PERIOD_SECONDS)
    assert emitter.share_bps() == 2
    emitter.set_share(3, sender=owner)
    assert emitter.share_bps() == 2


def test_the_bound_is_below_the_whole(emitter, owner):
    assert emitter.MAX_SHARE_BPS() == MAX_SHARE_BPS < 10_000
    for share in (MAX_SHARE_BPS + 1, 2**256 - 1):
        with boa.reverts("emitter: share too large"):
            emitter.set_share(share, sender=owner)


def test_others_revert(emitter, outsider):
    with boa.reverts("ownable: caller is not the owner"):
        emitter.set_share(0, sender=outsider)


def test_without_an_owner_the_share_stays(emitter, owner):
    emitter.renounce_ownership(sender=owner)
    with boa.reverts("ownable: caller is not the owner"):
        emitter.set_share(0, sender=owner)
    assert emitter.share_bps() == SHARE_BPS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"period_seconds": 0}, "emitter: no period"),
        ({"halving_periods": 0}, "emitter: no halving"),
        ({"share_bps": MAX_SHARE_BPS + 1}, "emitter: share too large"),
        ({"first_budget": ROOM // (2 * HALVING_PERIODS) + 1}, "emitter: budgets over the cap"),
    ],
)
def test_terms_out_of_bounds_revert(world, changes, reason):
    with boa.reverts(reason):
        deploy_emitter(world, **changes)


def test_all_budgets_may_reach_the_cap(world):
    emitter = deploy_emitter(world, first_budget=ROOM // (2 * HALVING_PERIODS))
    assert emitter.budget_of(0) > ONE_NES
