"""Asking and paying."""

from dataclasses import astuple, replace

import boa
import pytest

from nesa.protocol.digests import boundary_digest
from nesa.protocol.fees import DELIVERY_GAS, base_fee, billed_gas
from nesa.protocol.ids import ONE_NES, Address
from nesa.protocol.queries import Assurance, Privacy, QueryStatus, terms_hash
from tests.deployment import (
    EPOCH_SECONDS,
    QUERY_PARAMETERS,
    REQUEST_LIMITS,
)
from tests.market import CREDIT_WINDOW, INPUT_EDGE, TENSORS, go_to, provable_version

INPUT = TENSORS[1][0]


def test_the_terms_say_what_was_ordered(world, client):
    now = boa.env.timestamp
    block = boa.env.evm.patch.block_number
    query = world.request(client, callback_gas=50_000)

    assert query.query_id == world.market.last_query_id() == 1
    assert query.requester == client
    assert query.version_id == world.versions[1]
    assert query.input_digest == boundary_digest([INPUT_EDGE], [INPUT])
    assert (query.assurance, query.privacy) == (Assurance.AGREED, Privacy.OPEN)
    assert (query.shards, query.replicas) == (1, 4)
    assert query.base_fee == base_fee(ONE_NES, 1, 4)
    assert query.proof_fee == 0
    assert query.callback_fee == REQUEST_LIMITS.callback_price * 50
    assert query.epoch == now // EPOCH_SECONDS
    assert (query.seat_count(0), query.seat_count(8)) == (6, 3)
    assert query.rules.royalty_bps == 1_000
    assert query.rules.miners_bps == QUERY_PARAMETERS.miners_bps
    assert query.opened_at == now
    assert query.answer_deadline == now + QUERY_PARAMETERS.answer_window
    assert (query.attempt, query.seed_block) == (0, block + 1)


@pytest.mark.parametrize("assurance", [Assurance.AGREED, Assurance.CHALLENGED])
@pytest.mark.parametrize("gas", [0, 50_000])
def test_a_delivery_of_its_own_is_in_the_price(world, client, assurance, gas):
    assert world.pricing.DELIVERY_GAS() == DELIVERY_GAS
    query = world.request(client, assurance=assurance, callback_gas=gas)
    billed = gas + (DELIVERY_GAS if gas and assurance is Assurance.CHALLENGED else 0)
    assert query.callback_fee == REQUEST_LIMITS.callback_price * billed // 1_000
    assert billed == billed_gas(assurance, gas)


def test_the_event_holds_the_input(world, client):
    world.market.request(world.order(), INPUT, sender=client)
    event = world.event("QueryRequested")
    assert event.input == INPUT
    assert event.query_id == 1
    assert event.requester == client


def test_the_market_keeps_the_hash_of_the_terms(world, client):
    query = world.request(client)
    assert world.market.verify_terms(query.as_abi())
    digest = terms_hash(world.chain_id, Address(world.market.address), query)
    assert len(digest) == 32


def test_exactly_the_price_is_pulled(world, client):
    before = world.lower.token.balanceOf(client)
    query = world.request(client)
    assert world.lower.token.balanceOf(client) == before - query.fee
    assert world.market.total_owed() == query.fee
    assert world.market.open_fees(query.version_id) == query.fee
    world.assert_solvent()


def test_numbers_count_from_one(world, client):
    assert [world.request(client).query_id for _ in range(3)] == [1, 2, 3]


def test_a_quote_is_the_price(world, client):
    order = world.order(2, callback_gas=70_000)
    assert (
        world.market.quote(order, sender=client)
        == world.request(client, 2, callback_gas=70_000).fee
    )


def test_every_shard_costs(world, client):
    assert world.request(client, 2).base_fee == 2 * world.request(client, 1).base_fee


def test_a_proof_costs_by_shard(world, client):
    query = world.request(client, 2, assurance=Assurance.PROVED)
    assert query.proof_fee == 10 * ONE_NES
    assert query.replicas == 1


def test_a_sealed_query_brings_its_own_digest(world, client):
    digest = b"\x07" * 32
    query = world.request(client, privacy=Privacy.SEALED, input=b"secret", input_digest=digest)
    assert query.input_digest == digest


@pytest.mark.parametrize(
    "changes",
    [
        {"assurance": Assurance.AGREED | Assurance.CHALLENGED},
        {"assurance": Assurance.AGREED | Assurance.PROVED},
        {"assurance": 0},
        {"privacy": Privacy.SPLIT},
        {"privacy": Privacy.EQUIVARIANT},
        {"privacy": Privacy.SHARED},
        {"privacy": Privacy.OPEN | Privacy.SEALED},
        {"privacy": 0},
    ],
)
def test_what_is_not_offered_reverts(world, client, changes):
    with boa.reverts("market: not offered yet"):
        world.request(client, **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"replicas": 2}, "market: too few replicas"),
        ({"replicas": 9}, "market: too many replicas"),
        ({"callback_gas": 1_000_001}, "market: too much callback gas"),
        ({"max_fee": 4 * ONE_NES - 1}, "market: fee too low"),
        ({"assurance": Assurance.PROVED, "replicas": 3}, "market: one prover"),
        ({"input": bytes(29)}, "market: wrong input length"),
        ({"input": bytes(31)}, "market: wrong input length"),
        ({"replicas": 7}, "vault: too few seats"),
        ({"version_id": b"\x09" * 32}, "registry: unknown version"),
    ],
)
def test_an_order_out_of_bounds_reverts(world, client, changes, reason):
    with boa.reverts(reason):
        world.request(client, **changes)


def test_a_proof_of_an_unprovable_version_reverts(world, client):
    order = {"assurance": Assurance.PROVED, "version_id": world.versions[1]}
    with boa.reverts("market: not provable"):
        world.request(client, **order)


def test_an_empty_ciphertext_reverts(world, client):
    order = world.order(privacy=Privacy.SEALED, input_digest=b"\x07" * 32)
    with boa.reverts("market: no input"):
        world.market.request(order, b"", sender=client)


def test_a_sealed_query_without_digest_reverts(world, client):
    with boa.reverts("market: no input digest"):
        world.request(client, privacy=Privacy.SEALED, input=b"secret")


def test_without_money_it_reverts(world, outsider):
    world.lower.token.approve(world.market, 2**256 - 1, sender=outsider)
    with boa.reverts("erc20: transfer amount exceeds balance"):
        world.request(outsider)


@pytest.mark.parametrize("assurance", [Assurance.AGREED, Assurance.CHALLENGED])
def test_past_what_the_seats_could_repay_reverts(world, client, assurance):
    # 1,000 NES a seat, 3 of them lie in a quorum, half of it may be open: 1,500 NES.
    world.lower.registry.set_price(world.versions[1], 200 * ONE_NES, 0, sender=world.developer)
    world.request(client, assurance=assurance)
    assert world.market.open_fees(world.versions[1]) == 800 * ONE_NES
    with boa.reverts("market: exposure cap"):
        world.request(client)


def test_proved_queries_need_no_seats_to_repay_them(world, client):
    version_id = world.proved[1]
    world.lower.registry.set_price(version_id, 200 * ONE_NES, 0, sender=world.developer)
    agreed = {"version_id": version_id}
    world.request(client, **agreed)
    with boa.reverts("market: exposure cap"):
        world.request(client, **agreed)
    for _ in range(10):
        world.request(client, assurance=Assurance.PROVED)
    assert world.market.open_fees(version_id) == 800 * ONE_NES


def test_proved_queries_use_nothing_of_the_cap_up(world, client):
    version_id = world.proved[1]
    world.lower.registry.set_price(version_id, 200 * ONE_NES, 0, sender=world.developer)
    proved = [world.request(client, assurance=Assurance.PROVED) for _ in range(10)]
    assert world.market.open_fees(version_id) == 0
    world.request(client, version_id=version_id)
    go_to(proved[0].answer_deadline + 1)
    world.market.refund(proved[0].as_abi())
    assert world.market.open_fees(version_id) == 800 * ONE_NES
    assert world.market.total_owed() == 9 * 200 * ONE_NES + 800 * ONE_NES + proved[0].fee


def test_an_answer_frees_the_version_again(world, client):
    world.lower.registry.set_price(world.versions[1], 200 * ONE_NES, 0, sender=world.developer)
    for _ in range(2):
        world.fulfil(world.request(client))
    assert world.market.open_fees(world.versions[1]) == 0


@pytest.mark.parametrize("name", ["token", "parameters", "vault", "market"])
def test_no_contract_of_the_protocol_can_ask(world, name):
    own = getattr(world, name, None) or getattr(world.lower, name)
    with boa.reverts("market: own contract"):
        world.request(own.address)


def test_an_open_query_has_the_status(world, client):
    assert world.market.status_of(1) == QueryStatus.UNKNOWN
    world.request(client)
    assert world.market.status_of(1) == QueryStatus.OPEN


def test_a_dispute_longer_than_credits_wait_reverts(world, client):
    longer = replace(QUERY_PARAMETERS, dispute_window=CREDIT_WINDOW + 1)
    world.lower.parameters.set_query_parameters(astuple(longer), sender=world.deployer)
    with boa.reverts("market: dispute outlasts credit"):
        world.request(client)


def test_more_slots_than_a_report_holds_revert(world, client):
    order = world.order(version_id=provable_version(world, 5), replicas=7)
    with boa.reverts("market: too many member slots"):
        world.market.quote(order, sender=client)


def test_more_proofs_than_one_transaction_holds_revert(world, client):
    version_id = provable_version(world, 5)
    order = world.order(assurance=Assurance.PROVED, version_id=version_id)
    with boa.reverts("market: too many shards"):
        world.market.request(order, INPUT, sender=client)
