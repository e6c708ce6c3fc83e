"""Inputs and answers that are too long for the chain, which holds their digests."""

import boa
import pytest
from eth_utils.crypto import keccak

from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.queries import CallbackResult, Privacy, QueryStatus
from nesa.protocol.versions import ShardFacts
from tests.deployment import load_harness, next_epoch, register_version
from tests.market import pass_blocks, seed_of
from tests.reports import shard_works

LONG_INPUT = EdgeType(DType.INT8, (1, 4097), -127, 127)
LONG_OUTPUT = EdgeType(DType.INT8, (1, 1025), -127, 127)
DIGEST = boundary_digest([LONG_INPUT], [bytes(4097)])
LOCATOR = b"https://client.example/input"
ANSWER = bytes(range(100)) * 10 + bytes(25)
OUT_DIGEST = boundary_digest([LONG_OUTPUT], [ANSWER])


@pytest.fixture
def version(world):
    facts = ShardFacts((LONG_INPUT,), (LONG_OUTPUT,), ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST)
    registry, root = world.lower.registry, b"\x77" * 32
    made = register_version(registry, world.developer, (facts,), operators_root=root)
    for number in range(4):
        world.operator(f"long-{number}", [(made, 0)])
    next_epoch()
    pass_blocks(1, 0)
    return made


@pytest.fixture
def asked(world, client, version):
    def ask(**changes):
        order = {"version_id": version, "input_digest": DIGEST, "input": LOCATOR} | changes
        return world.request(client, **order)

    return ask


def answer(world, query, out_digest=OUT_DIGEST, output=None):
    """A committee's report, `output` being what it attested to go on chain."""
    payload = out_digest if output is None else output
    at = (world.chain_id, world.market.address, query, seed_of(query))
    works = shard_works(*at, [world.drawn(query, 0, 4)], [out_digest], payload)
    return world.fulfil(query, [work.report() for work in works], payload)


def test_a_long_input_is_known_by_its_digest(world, asked):
    query = asked()
    assert query.input_digest == DIGEST
    assert world.market.verify_terms(query.as_abi())


def test_the_event_says_where_it_is(world, client, version):
    order = world.order(version_id=version, input_digest=DIGEST)
    world.market.request(order, LOCATOR, sender=client)
    assert world.event("QueryRequested").input == LOCATOR


def test_a_long_input_without_digest_reverts(asked):
    with boa.reverts("market: no input digest"):
        asked(input_digest=ZERO_DIGEST)


def test_a_long_input_without_locator_reverts(world, client, version):
    order = world.order(version_id=version, input_digest=DIGEST)
    with boa.reverts("market: no input"):
        world.market.request(order, b"", sender=client)


def test_an_input_that_fits_is_not_replaced_by_a_locator(world, client):
    """A client could otherwise keep what it asked from whoever has nothing but the chain."""
    with boa.reverts("market: wrong input length"):
        world.request(client, input=LOCATOR, input_digest=DIGEST)


def test_a_long_answer_is_reported_by_its_digest(world, asked):
    query = asked()
    outcome = answer(world, query)
    assert world.event("QueryFulfilled").output == OUT_DIGEST
    assert outcome.output_hash == keccak(OUT_DIGEST)
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED
    world.assert_solvent()


@pytest.mark.parametrize("output", [DIGEST, b"", OUT_DIGEST + b"\0", ANSWER[:1024]])
def test_another_word_than_its_digest_reverts(world, asked, output):
    with boa.reverts("market: other output"):
        answer(world, asked(), output=output)


def test_a_contract_is_called_with_the_digest(world, client, version):
    consumer = load_harness("PatientConsumer", world.market, world.lower.token)
    world.give(consumer.address, 100 * 10**9)
    order = world.order(version_id=version, input_digest=DIGEST, callback_gas=200_000)
    consumer.ask(order, LOCATOR, b"\x01" * 32, sender=client)
    answer(world, world.requested_through(consumer))
    told = world.event("QueryFulfilled")
    assert (told.callback, told.output) == (CallbackResult.SUCCEEDED, OUT_DIGEST)
    assert consumer.answered() == b"\x01" * 32


def test_a_long_sealed_answer_goes_by_the_name_of_its_ciphertext(world, asked):
    sealed, name = b"\x07" * 32, keccak(text="root of the ciphertext")
    query = asked(privacy=Privacy.SEALED, input_digest=sealed)
    outcome = answer(world, query, out_digest=keccak(text="blinded"), output=name)
    assert outcome.output_hash == keccak(name)
