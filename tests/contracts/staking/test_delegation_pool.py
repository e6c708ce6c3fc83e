"""Delegated stake: shares, exits, commissions and what the vault keeps of it."""

import boa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.slashing import delegable
from tests.contracts.staking.conftest import ORACLE_SHARD, SEAT_STAKE
from tests.deployment import EPOCH_SECONDS, UNBONDING_SECONDS, deployer

NOBODY = "0x" + "00" * 20
NOTICE_SECONDS = UNBONDING_SECONDS + 2 * EPOCH_SECONDS
COMMISSION = 1_000
SHARES_A_UNIT = 10**6
OWN = SEAT_STAKE
MOST = OWN
"""What the operator owns, and what may be delegated to it beside that."""


@pytest.fixture(scope="module")
def deployed_pool(lower, actors):
    pool = deployer("staking/DelegationPool").deploy(lower.token, lower.vault)
    lower.vault.set_delegation_pool(pool, sender=actors.setter)
    return pool


@pytest.fixture
def pool(deployed_pool, register, stake, operator):
    register(operator)
    stake(operator, OWN)
    deployed_pool.announce_commission(COMMISSION, sender=operator)
    return deployed_pool


@pytest.fixture
def delegator(new_delegator):
    return new_delegator()


@pytest.fixture
def new_delegator(pool, token, actors):
    def new_delegator(amount=10 * SEAT_STAKE):
        account = boa.env.generate_address()
        token.transfer(account, amount, sender=actors.holder)
        token.approve(pool, 2**256 - 1, sender=account)
        return account

    return new_delegator


def delegate(pool, operator, delegator, amount=SEAT_STAKE, min_shares=0):
    return pool.delegate(operator, amount, min_shares, sender=delegator)


def test_delegating_adds_stake_that_is_not_the_operators_own(
    pool, vault, token, operator, delegator
):
    assert delegate(pool, operator, delegator) == SEAT_STAKE * SHARES_A_UNIT
    assert vault.ledger(operator).stake == OWN + SEAT_STAKE == vault.total_stake()
    assert tuple(vault.backing(operator)) == (SEAT_STAKE, 0, 0, 0)
    assert token.balanceOf(vault) == OWN + SEAT_STAKE
    assert pool.value_of(operator, pool.shares_of(operator, delegator)) == SEAT_STAKE
    with boa.reverts("vault: own stake must stay"):
        vault.begin_unbonding(OWN + 1, sender=operator)


def test_an_operator_takes_as_much_as_its_own_stake_answers_for(
    pool, vault, stake, operator, new_delegator
):
    delegator = new_delegator(MOST + OWN)
    delegate(pool, operator, delegator, MOST)
    with boa.reverts("vault: operator owns too little"):
        delegate(pool, operator, delegator, 1)
    stake(operator, 1)
    delegate(pool, operator, delegator, 1)
    assert vault.backing(operator).delegated == MOST + 1


def test_what_thaws_answers_for_nothing(pool, vault, operator, delegator):
    vault.begin_unbonding(OWN // 2, sender=operator)
    assert delegable(*facts(vault, operator)) == MOST // 2
    with boa.reverts("vault: operator owns too little"):
        delegate(pool, operator, delegator, MOST // 2 + 1)
    delegate(pool, operator, delegator, MOST // 2)
    assert delegable(*facts(vault, operator)) == 0


def facts(vault, operator):
    """What `delegable` asks for."""
    ledger = vault.ledger(operator)
    return ledger.stake, vault.backing(operator).delegated, ledger.unbonding


def test_an_operator_that_was_robbed_of_its_own_takes_no_more(
    pool, vault, stake, operator, delegator, slash
):
    delegate(pool, operator, delegator)
    slash(operator, OWN)
    with boa.reverts("vault: operator owns too little"):
        delegate(pool, operator, delegator, 1)
    stake(operator, OWN + 1)
    delegate(pool, operator, delegator, 1)


def test_delegators_are_not_robbed_at_a_profit(pool, operator, new_delegator, slash):
    """Whoever has the operator convicted gets a quarter, and in all half of what it lost."""
    delegate(pool, operator, new_delegator(MOST), MOST)
    assert [slash(operator, OWN)[2] for _ in range(3)] == [OWN // 4, OWN // 4, 0]


def test_rewards_never_exceed_what_the_operator_lost(
    pool, vault, token, actors, operator, delegator, slash
):
    """An operator's own stake has thawed to a tenth, and rewards raised what is delegated."""
    delegate(pool, operator, delegator, SEAT_STAKE)
    token.approve(pool, 9 * SEAT_STAKE, sender=actors.holder)
    pool.add_rewards(operator, 9 * SEAT_STAKE, sender=actors.holder)
    vault.begin_unbonding(OWN * 9 // 10, sender=operator)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    vault.withdraw(sender=operator)
    assert [slash(operator, SEAT_STAKE, 1)[1:] for _ in range(2)] == [(1, OWN // 20 - 1), (0, 0)]
    assert vault.backing(operator).creditable == 0


def test_who_delegates_does_not_pay_for_what_was_lost_before(
    pool, vault, stake, operator, delegator, slash
):
    delegate(pool, operator, delegator)
    slash(operator, OWN)
    assert vault.backing(operator).creditable == OWN // 4
    stake(operator, OWN + 1)
    assert vault.backing(operator).creditable == OWN // 4
    delegate(pool, operator, delegator, 1)
    assert vault.backing(operator).creditable == 0


def test_delegating_nothing_or_to_nobody_reverts(pool, delegator, operator, outsider):
    with boa.reverts("delegation: less than a share"):
        delegate(pool, operator, delegator, 0)
    with boa.reverts("delegation: no commission is set"):
        delegate(pool, outsider, delegator)


def test_fewer_shares_than_wanted_revert(pool, operator, delegator):
    with boa.reverts("delegation: too few shares"):
        delegate(pool, operator, delegator, 5, 5 * SHARES_A_UNIT + 1)
    assert delegate(pool, operator, delegator, 5, 5 * SHARES_A_UNIT) == 5 * SHARES_A_UNIT


def test_an_exit_takes_as_long_as_the_vaults(pool, vault, token, operator, delegator):
    before = token.balanceOf(delegator)
    shares = delegate(pool, operator, delegator)
    assert pool.begin_exit(operator, shares, sender=delegator) == SEAT_STAKE
    boa.env.time_travel(seconds=UNBONDING_SECONDS - 1)
    with boa.reverts("delegation: still unbonding"):
        pool.withdraw(operator, delegator)
    boa.env.time_travel(seconds=1)
    assert pool.withdraw(operator, delegator) == SEAT_STAKE
    assert token.balanceOf(delegator) == before
    assert pool.total_shares(operator) == 0
    assert vault.ledger(operator).stake == OWN == vault.total_stake()
    with boa.reverts("delegation: no exit"):
        pool.withdraw(operator, delegator)


def test_a_further_exit_starts_the_clock_again(pool, operator, delegator):
    shares = delegate(pool, operator, delegator)
    pool.begin_exit(operator, shares // 2, sender=delegator)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    pool.begin_exit(operator, shares // 2, sender=delegator)
    with boa.reverts("delegation: still unbonding"):
        pool.withdraw(operator, delegator)


def test_more_than_there_is_or_nothing_cannot_leave(pool, operator, delegator, outsider):
    shares = delegate(pool, operator, delegator)
    for account, number in ((delegator, shares + 1), (outsider, 1)):
        with boa.reverts("delegation: not so many shares"):
            pool.begin_exit(operator, number, sender=account)
    with boa.reverts("delegation: worth nothing"):
        pool.begin_exit(operator, 0, sender=delegator)


def test_a_cancelled_exit_stays(pool, vault, operator, delegator):
    shares = delegate(pool, operator, delegator)
    pool.begin_exit(operator, shares, sender=delegator)
    pool.cancel_exit(operator, sender=delegator)
    assert pool.shares_of(operator, delegator) == shares
    assert vault.backing(operator).leaving == 0
    with boa.reverts("delegation: nothing leaves"):
        pool.cancel_exit(operator, sender=delegator)


def test_an_exit_that_is_kept_ready_earns_nothing(pool, operator, new_delegator, token, actors):
    """A delegator keeps an exit ready to be out before any slash, and cancels it for the rewards
    of the meantime: they are of those who stayed."""
    ready, staying = new_delegator(), new_delegator()
    part = SEAT_STAKE // 4
    for delegator in (ready, staying):
        delegate(pool, operator, delegator, part)
    pool.begin_exit(operator, pool.shares_of(operator, ready), sender=ready)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    reward(pool, token, actors, operator, part)
    pool.cancel_exit(operator, sender=ready)
    assert part - 1 <= worth(pool, operator, ready) <= part
    assert 2 * part - 2 <= worth(pool, operator, staying) <= 2 * part


def test_a_slashed_exit_is_cancelled_for_what_is_left(pool, operator, new_delegator, slash):
    delegator, staying = new_delegator(), new_delegator()
    for one in (delegator, staying):
        delegate(pool, operator, one, SEAT_STAKE // 2)
    pool.begin_exit(operator, pool.shares_of(operator, delegator), sender=delegator)
    slash(operator, OWN + SEAT_STAKE // 2)
    pool.cancel_exit(operator, sender=delegator)
    for one in (delegator, staying):
        assert SEAT_STAKE // 4 - 1 <= worth(pool, operator, one) <= SEAT_STAKE // 4


def test_who_cuts_in_for_a_reward_earns_less_than_who_stays(
    pool, operator, new_delegator, token, actors
):
    """Somebody delegates just before a reward and leaves just after: what it put in lies idle for
    an unbonding, in which it earns nothing, so the rewards of that time are of who stayed."""
    cutting, staying = new_delegator(), new_delegator()
    part = SEAT_STAKE // 4
    for delegator in (staying, cutting):
        delegate(pool, operator, delegator, part)
    reward(pool, token, actors, operator, part // 10)
    pool.begin_exit(operator, pool.shares_of(operator, cutting), sender=cutting)
    boa.env.time_travel(seconds=UNBONDING_SECONDS // 2)
    reward(pool, token, actors, operator, part // 10)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    before = token.balanceOf(cutting)
    pool.withdraw(operator, cutting, sender=cutting)
    cut = token.balanceOf(cutting) - before - part
    stayed = worth(pool, operator, staying) - part
    assert 0 < cut <= part // 20
    assert stayed >= 3 * cut - 2


def reward(pool, token, actors, operator, amount):
    token.approve(pool, amount, sender=actors.holder)
    pool.add_rewards(operator, amount, sender=actors.holder)


def worth(pool, operator, delegator):
    return pool.value_of(operator, pool.shares_of(operator, delegator))


def test_a_slash_takes_the_operators_own_first(pool, vault, operator, delegator, slash):
    shares = delegate(pool, operator, delegator)
    slash(operator, SEAT_STAKE)
    assert pool.value_of(operator, shares) == SEAT_STAKE
    slash(operator, SEAT_STAKE // 4)
    # One unit does not exist, and is slashed as well.
    assert pool.value_of(operator, shares) == SEAT_STAKE * 3 // 4
    assert vault.backing(operator).delegated == SEAT_STAKE * 3 // 4


def test_a_slash_reaches_all_delegators_alike_and_those_who_leave(
    pool, vault, stake, operator, new_delegator, slash
):
    stake(operator, OWN)
    staying, leaving = new_delegator(), new_delegator()
    for account in (staying, leaving):
        delegate(pool, operator, account)
    shares = pool.shares_of(operator, leaving)
    pool.begin_exit(operator, shares, sender=leaving)
    slash(operator, 2 * OWN + SEAT_STAKE)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    assert abs(pool.withdraw(operator, leaving) - SEAT_STAKE // 2) <= 1
    left = pool.value_of(operator, pool.shares_of(operator, staying))
    assert left == vault.backing(operator).delegated
    assert abs(left - SEAT_STAKE // 2) <= 1
    assert vault.backing(operator).leaving == 0


def test_stake_that_was_added_later_does_not_heal_delegators(
    pool, stake, operator, delegator, slash
):
    shares = delegate(pool, operator, delegator)
    slash(operator, OWN + SEAT_STAKE // 2)
    stake(operator, SEAT_STAKE)
    assert pool.value_of(operator, shares) == SEAT_STAKE // 2


def test_a_held_operator_lets_nobody_out(pool, vault, operator, delegator, slasher):
    shares = delegate(pool, operator, delegator)
    pool.begin_exit(operator, shares, sender=delegator)
    vault.hold(operator, sender=slasher)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    with boa.reverts("vault: delegation is held"):
        pool.withdraw(operator, delegator)
    vault.release_hold(operator, sender=slasher)
    assert pool.withdraw(operator, delegator) == SEAT_STAKE


def sit_oracle(vault, operator):
    return vault.take_seat(ZERO_DIGEST, ORACLE_SHARD, ZERO_DIGEST, ZERO_DIGEST, sender=operator)


def test_seats_stand_on_both_with_a_part_of_ones_own(
    pool, vault, stake, operator, delegator, slash
):
    delegate(pool, operator, delegator)
    slash(operator, OWN)
    with boa.reverts("vault: too little own stake"):
        sit_oracle(vault, operator)
    stake(operator, SEAT_STAKE // 2 - 1)
    with boa.reverts("vault: too little own stake"):
        sit_oracle(vault, operator)
    stake(operator, 1)
    sit_oracle(vault, operator)
    assert vault.ledger(operator).locked == SEAT_STAKE
    with boa.reverts("vault: own stake must stay"):
        vault.begin_unbonding(1, sender=operator)


def test_what_leaves_backs_no_new_seat(pool, vault, operator, delegator, slash):
    shares = delegate(pool, operator, delegator)
    slash(operator, OWN // 2)
    pool.begin_exit(operator, shares * 6 // 10, sender=delegator)
    with boa.reverts("vault: too little stake"):
        sit_oracle(vault, operator)


def test_seats_that_need_what_leaves_are_evicted(pool, vault, operator, delegator, outsider, slash):
    shares = delegate(pool, operator, delegator)
    slash(operator, OWN // 2)
    slot = sit_oracle(vault, operator)
    with boa.reverts("vault: seat is covered"):
        vault.evict(ZERO_DIGEST, ORACLE_SHARD, slot)
    pool.begin_exit(operator, shares, sender=delegator)
    vault.evict(ZERO_DIGEST, ORACLE_SHARD, slot, sender=outsider)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    with boa.reverts("vault: seats need the stake"):
        pool.withdraw(operator, delegator)
    boa.env.time_travel(seconds=EPOCH_SECONDS)
    vault.release_seat(ZERO_DIGEST, ORACLE_SHARD, slot)
    assert pool.withdraw(operator, delegator) == SEAT_STAKE


def test_rewards_raise_the_share_and_no_exit(pool, token, actors, stake, operator, new_delegator):
    stake(operator, OWN)
    staying, leaving = new_delegator(), new_delegator()
    for account in (staying, leaving):
        delegate(pool, operator, account)
    pool.begin_exit(operator, pool.shares_of(operator, leaving), sender=leaving)
    token.approve(pool, 1_000, sender=actors.holder)
    pool.add_rewards(operator, 1_000, sender=actors.holder)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    assert pool.withdraw(operator, leaving) == SEAT_STAKE
    worth = pool.value_of(operator, pool.shares_of(operator, staying))
    assert SEAT_STAKE + 998 <= worth <= SEAT_STAKE + 1_000


def test_rewards_for_nobody_revert(pool, operator, delegator):
    with boa.reverts("delegation: no delegators"):
        pool.add_rewards(operator, 1, sender=delegator)


def test_delegators_earn_by_their_part_less_the_commission(pool, operator, delegator):
    assert pool.delegators_part(operator, 1_000) == 0
    delegate(pool, operator, delegator)
    assert pool.delegators_part(operator, 1_000) == 500 * 9 // 10


def test_an_operator_without_any_stake_left_earns_alone(pool, operator, delegator, slash):
    delegate(pool, operator, delegator)
    slash(operator, OWN + SEAT_STAKE)
    assert pool.delegators_part(operator, 1_000) == 0


def test_a_ruined_pool_takes_no_more(pool, operator, delegator, slash):
    shares = delegate(pool, operator, delegator)
    slash(operator, OWN + SEAT_STAKE - 100_000)
    with boa.reverts("delegation: pool is ruined"):
        delegate(pool, operator, delegator)
    assert pool.begin_exit(operator, shares, sender=delegator) == 100_000


def test_a_raise_is_announced_and_a_cut_is_not(pool, operator):
    pool.announce_commission(2_000, sender=operator)
    assert pool.commission_of(operator) == COMMISSION
    boa.env.time_travel(seconds=NOTICE_SECONDS - 1)
    assert pool.commission_of(operator) == COMMISSION
    boa.env.time_travel(seconds=1)
    assert pool.commission_of(operator) == 2_000
    pool.announce_commission(500, sender=operator)
    assert pool.commission_of(operator) == 500


def test_a_cut_takes_a_raise_back(pool, operator):
    pool.announce_commission(2_000, sender=operator)
    pool.announce_commission(COMMISSION, sender=operator)
    boa.env.time_travel(seconds=NOTICE_SECONDS)
    assert pool.commission_of(operator) == COMMISSION


def test_commissions_out_of_bounds_and_by_others_revert(pool, operator, outsider):
    assert pool.MAX_COMMISSION_BPS() == 5_000
    with boa.reverts("delegation: commission too large"):
        pool.announce_commission(5_001, sender=operator)
    with boa.reverts("delegation: not an operator"):
        pool.announce_commission(1, sender=outsider)


def test_only_the_pool_moves_delegations(pool, vault, operator, outsider, actors):
    calls = (
        (vault.delegate, (operator, 1)),
        (vault.reward_delegators, (operator, 1)),
        (vault.begin_undelegation, (operator, 1)),
        (vault.cancel_undelegation, (operator, 1)),
        (vault.undelegate, (operator, 1, 1)),
    )
    for call, given_ in calls:
        for account in (outsider, operator, actors.slasher, actors.setter):
            with boa.reverts("vault: not the pool"):
                call(*given_, sender=account)


def test_the_pool_is_named_once_and_by_the_setter(pool, lower, vault, actors, outsider):
    with boa.reverts("vault: not the setter"):
        vault.set_delegation_pool(outsider, sender=outsider)
    with boa.reverts("vault: pool is set"):
        vault.set_delegation_pool(outsider, sender=actors.setter)
    parameters = (lower.token, lower.registry, lower.parameters)
    clocks = (EPOCH_SECONDS, UNBONDING_SECONDS, actors.setter)
    fresh = deployer("staking/StakeVault").deploy(*parameters, *clocks)
    with boa.reverts("vault: no pool"):
        fresh.set_delegation_pool(NOBODY, sender=actors.setter)


def test_more_than_the_ledger_holds_cannot_leave(pool, vault, operator):
    with boa.reverts("vault: too much leaves"):
        vault.begin_undelegation(operator, 2**64, sender=pool.address)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # anchored below
)
@given(
    first=st.integers(1, 10**6),
    gift=st.integers(1, 9 * SEAT_STAKE),
    amount=st.integers(1, SEAT_STAKE),
)
def test_inflating_the_first_share_costs_more_than_it_takes(
    pool, token, stake, operator, delegator, actors, first, gift, amount
):
    """The first delegator wants the second one's deposit to round down to nothing."""
    with boa.env.anchor():
        stake(operator, 9 * OWN)
        attacker = boa.env.generate_address()
        token.transfer(attacker, first + gift, sender=actors.holder)
        token.approve(pool, 2**256 - 1, sender=attacker)
        shares = delegate(pool, operator, attacker, first)
        pool.add_rewards(operator, gift, sender=attacker)
        try:
            bought = delegate(pool, operator, delegator, amount)
        except boa.BoaError:
            return  # refused, nothing is lost
        lost = amount - pool.value_of(operator, bought)
        cost = first + gift - pool.value_of(operator, shares)
        assert lost <= 2 + (first + gift) // SHARES_A_UNIT
        assert cost + 2 >= lost
