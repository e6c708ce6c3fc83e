"""Opening another attempt."""

import boa
import pytest

from nesa.protocol.queries import QueryStatus
from tests.deployment import QUERY_PARAMETERS
from tests.market import go_to, pass_blocks

ANSWER = QUERY_PARAMETERS.answer_window


def retry(world, query, client):
    world.market.retry(query.as_abi(), sender=client)
    again = world.requested()
    pass_blocks(2)
    return again


def test_the_next_attempt_is_drawn_and_dated_anew(world, client):
    query = world.request(client)
    go_to(query.answer_deadline + 1)
    now, block = boa.env.timestamp, boa.env.evm.patch.block_number
    again = retry(world, query, client)
    assert again.attempt == 1
    assert (again.opened_at, again.answer_deadline) == (now, now + ANSWER)
    assert again.seed_block == block + 1
    assert world.draw_seed(again) != world.draw_seed(query)
    assert not world.market.verify_terms(query.as_abi())
    assert world.market.verify_terms(again.as_abi())
    world.fulfil(again)
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED
    world.assert_solvent()


def test_nothing_else_changes(world, client):
    query = world.request(client)
    go_to(query.answer_deadline + 1)
    again = retry(world, query, client)
    moved = {"attempt", "opened_at", "answer_deadline", "seed_block"}
    for name in query.__dataclass_fields__:
        assert (getattr(query, name) == getattr(again, name)) == (name not in moved)


def test_by_somebody_else_reverts(world, client, outsider):
    query = world.request(client)
    go_to(query.answer_deadline + 1)
    with boa.reverts("market: not the requester"):
        world.market.retry(query.as_abi(), sender=outsider)


def test_while_it_can_be_answered_reverts(world, client):
    query = world.request(client)
    go_to(query.answer_deadline)
    with boa.reverts("market: still answerable"):
        world.market.retry(query.as_abi(), sender=client)


def test_when_the_seed_is_gone_it_need_not_wait(world, client):
    query = world.request(client)
    pass_blocks(query.seed_block + 256 - boa.env.evm.patch.block_number, 0)
    with boa.reverts("market: still answerable"):
        world.market.retry(query.as_abi(), sender=client)
    pass_blocks(1, 0)
    assert retry(world, query, client).attempt == 1


def test_a_pinned_seed_is_not_gone(world, client):
    query = world.request(client)
    world.market.pin_seed(query.seed_block)
    pass_blocks(300, 0)
    with boa.reverts("market: still answerable"):
        world.market.retry(query.as_abi(), sender=client)


def test_a_fourth_attempt_reverts(world, client):
    query = world.request(client)
    for _ in range(2):
        pass_blocks(300, 0)
        query = retry(world, query, client)
    pass_blocks(300, 0)
    with boa.reverts("market: no attempt left"):
        world.market.retry(query.as_abi(), sender=client)


def test_past_what_the_seats_are_kept_for_reverts(world, client):
    # 290 seconds from the start of the epoch less 60 to answer and 120 to dispute.
    query = world.request(client)
    go_to(query.epoch * 10 + 110)
    world.market.retry(query.as_abi(), sender=client)
    boa.env.evm.patch.timestamp += 1
    again = world.requested()
    go_to(again.answer_deadline + 1)
    with boa.reverts("market: too late to retry"):
        world.market.retry(again.as_abi(), sender=client)


@pytest.mark.parametrize("ended", ["fulfilled", "refunded"])
def test_after_the_end_reverts(world, client, ended):
    query = world.request(client)
    if ended == "fulfilled":
        world.fulfil(query)
        go_to(query.answer_deadline + 1)
    else:
        go_to(query.answer_deadline + 1)
        world.market.refund(query.as_abi())
    with boa.reverts("market: not open"):
        world.market.retry(query.as_abi(), sender=client)
