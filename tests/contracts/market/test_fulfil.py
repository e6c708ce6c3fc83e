"""Bringing the answer to an agreed query."""

from nesa.protocol.queries import QueryStatus


def test_an_honest_report_is_accepted(world, client):
    query = world.request(client)
    outcome = world.fulfil(query)
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED
    assert outcome.shards[0].paid == 0b1111
    world.assert_solvent()
