import boa

from tests.deployment import INPUT_EDGE


def test_later_requests_pay_the_new_price(registry, developer, version_id):
    registry.set_price(version_id, 3, 4, sender=developer)
    offer = registry.offer(version_id)
    assert (offer.price, offer.proof_price) == (3, 4)
    assert (offer.shards, offer.royalty_bps) == (2, 1_000)
    assert offer.input_edge == INPUT_EDGE.pack()
    assert registry.developer_of(version_id) == developer


def test_others_revert(registry, outsider, version_id):
    for identifier in (version_id, bytes(32)):
        with boa.reverts("registry: not the developer"):
            registry.set_price(identifier, 3, 4, sender=outsider)


def test_out_of_bounds_reverts(registry, developer, version_id):
    with boa.reverts("registry: price too large"):
        registry.set_price(version_id, 10**16 + 1, 0, sender=developer)
    with boa.reverts("registry: proof price too large"):
        registry.set_price(version_id, 0, 10**16 + 1, sender=developer)
    registry.set_price(version_id, 10**16, 10**16, sender=developer)
