"""Attacks on sealed queries: guessed digests, and what was sealed for somebody else."""

from dataclasses import replace
from itertools import islice, product
from pathlib import Path

import boa
import numpy as np
import pytest
from eth_utils.crypto import keccak

from nesa.chain.contracts import Operator
from nesa.models.folder import load
from nesa.models.measuring import integer_outputs
from nesa.models.proving.hashing import poseidon, tensor_hash
from nesa.models.proving.prover import NO_BLIND
from nesa.privacy.battery.guessing import digest_of, guess, likely_pairs
from nesa.privacy.keys import generate_key, public_bytes, public_key
from nesa.privacy.sealing import (
    WrapContext,
    input_digest,
    open_answer,
    proof_blind,
    seal_answer,
    seal_input,
    sealed_digest,
    unwrap_content_key,
    wrap_content_key,
)
from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Address, Digest, Epoch, QueryId, VersionId
from nesa.protocol.queries import Privacy
from tests.deployment import EPOCH_SECONDS
from tests.hashed_versions import ANSWER, HASHED, HashedVersion, digest
from tests.hashed_versions import INPUT as SHOWN_INPUT
from tests.market import INPUT_EDGE, OUTPUT_EDGE, TENSORS, pass_blocks

MODEL = Path(__file__).parents[2] / "models/breast-cancer-mlp"
KEY, OTHER_KEY = b"\x01" * 32, b"\x02" * 32
INPUT, OUTPUT = TENSORS[1]
PLAIN = (boundary_digest([INPUT_EDGE], [INPUT]), boundary_digest([OUTPUT_EDGE], [OUTPUT]))


def asked(world, client, key):
    """A sealed query for the input under a content key."""
    version = VersionId(world.versions[1])
    return world.request(
        client,
        privacy=Privacy.SEALED,
        input=seal_input(key, version, INPUT),
        input_digest=input_digest(key, PLAIN[0]),
    )


def answered(world, query, key):
    """The committee's work for it, and its sealed answer."""
    answer = seal_answer(key, VersionId(query.version_id), Digest(query.input_digest), OUTPUT)
    (work,) = world.works(query, payload=answer)
    return replace(work, out_digest=sealed_digest(key, 1, PLAIN[1])), answer


def test_blinded_digest_of_another_query(world, client):
    """An oracle answers a sealed query with what was attested for an earlier one of the same input:
    blinds stem from each query's own key, and signatures hold the query."""
    first, second = asked(world, client, KEY), asked(world, client, OTHER_KEY)
    assert first.input_digest != second.input_digest
    work, answer = answered(world, first, KEY)
    members = world.works(second)[0].members
    moved = [
        work,
        replace(work, members=members),
        replace(work, in_digest=second.input_digest, members=members),
    ]
    for stale in moved:
        with boa.reverts("committee: not attested"):
            world.fulfil(second, [stale.report()], answer)
    right, sealed = answered(world, second, OTHER_KEY)
    with boa.reverts("committee: not attested"):
        world.fulfil(second, [right.report()], answer)
    world.fulfil(second, [right.report()], sealed)
    with pytest.raises(InvalidMessage):
        version = VersionId(second.version_id)
        open_answer(OTHER_KEY, version, Digest(second.input_digest), answer)


def test_a_sealed_input_is_not_opened_by_asking_again(world, client):
    """A stranger copies ciphertext and digest into a request of its own, and the wrapped keys of
    the first, so that a committee works for it: a wrapped key holds query, attempt and member."""
    victim = asked(world, client, KEY)
    thief = world.client("thief")
    copied = world.request(
        thief,
        privacy=Privacy.SEALED,
        input=seal_input(KEY, VersionId(victim.version_id), INPUT),
        input_digest=victim.input_digest,
    )
    member = generate_key()
    market, signer = Address(world.market.address), Address("0x" + "22" * 20)
    context = WrapContext(world.chain_id, market, QueryId(victim.query_id), 0, signer)
    wrapped = wrap_content_key(KEY, member.public_key(), context)
    assert unwrap_content_key(wrapped, member, context) == KEY
    for other in (
        replace(context, query_id=QueryId(copied.query_id)),
        replace(context, attempt=1),
        replace(context, member=Address("0x" + "33" * 20)),
        replace(context, market=Address("0x" + "44" * 20)),
        replace(context, chain_id=5),
    ):
        with pytest.raises(InvalidMessage):
            unwrap_content_key(wrapped, member, other)


def test_a_digest_is_guessed_only_where_it_is_not_blinded():
    """Somebody who has the public model tries the answers that it is likely to give until one has
    the digest that the chain shows: two logits are few enough to try, and a blinded digest is that
    of none of them."""
    model = load(MODEL)
    answers = np.stack(integer_outputs(model.table, model.test_rows().inputs)).reshape(-1, 2)
    edge, known, secret = model.output_edge, answers[::2], answers[1]
    assert not (known == secret).all(1).any()
    plain = boundary_digest((edge,), [edge.encode(secret.reshape(edge.shape))])
    found, tried = guess(plain, edge, known)
    assert found == tuple(secret)
    for blinded in (sealed_digest(KEY, 1, plain), input_digest(KEY, plain)):
        missed, everything = guess(blinded, edge, known)
        assert missed is None
        assert everything > tried
    guesses = {digest_of(pair, edge) for pair in islice(likely_pairs(known), 500)}
    for wrong_key in (OTHER_KEY, keccak(KEY), bytes(32)):
        shown = {sealed_digest(wrong_key, 1, each) for each in guesses}
        assert sealed_digest(KEY, 1, plain) not in shown


def test_a_digest_that_a_proof_shows_is_not_guessed():
    """As with blinded digests, somebody tries every answer: Poseidon of two logits is found as fast
    as any hash of them, and not with the blind behind them."""
    logits = EdgeType(DType.INT16, (1, 2), -6, 5)
    tensors = {
        pair: b"".join(value.to_bytes(2, "little", signed=True) for value in pair)
        for pair in product(range(-6, 6), repeat=2)
    }
    plain = {poseidon(pair): pair for pair in tensors}
    assert plain[poseidon((-3, 4))] == (-3, 4)
    shown = tensor_hash(logits, tensors[-3, 4], proof_blind(KEY))
    for blind in (NO_BLIND, proof_blind(OTHER_KEY), KEY):
        guesses = {tensor_hash(logits, tensor, blind) for tensor in tensors.values()}
        assert len(guesses) == len(tensors)
        assert shown not in guesses
    assert shown not in plain


@pytest.fixture
def version(world):
    return HashedVersion(world, HASHED)


def test_the_proof_of_another_sealed_query(world, client, version):
    """Whoever is drawn takes the proofs of a client's query from the chain and answers its own
    friend's with them, who has no such data: a market takes a digest once, and they prove none but
    theirs."""
    shown = version.fulfil(version.request(client))
    thief = world.client("thief")
    with boa.reverts("market: input asked before"):
        version.request(thief)
    query = version.request(thief, input_digest=digest("the thief's"))
    with boa.reverts("router: proof refused"):
        version.fulfil(query)
    with boa.reverts("committee: proof of other input"):
        version.fulfil(query, shown=(SHOWN_INPUT, shown.shards[0].out_digest))


def test_a_digest_taken_out_of_the_mempool(world, client, version):
    """A thief sees a request on its way and asks with its digest first, so that the proofs will be
    its own: it has no content key to give, so nobody proves it, and the client seals anew."""
    copied = version.request(world.client("thief"))
    with boa.reverts("market: input asked before"):
        version.request(client)
    anew = version.request(client, input_digest=digest("sealed anew"))
    proofs = version.proofs(first=digest("sealed anew"))
    version.fulfil(anew, proofs=proofs)
    with boa.reverts("router: proof refused"):
        version.fulfil(copied, proofs=proofs)


def test_an_answer_that_was_proved_and_another_delivered(world, client, version):
    """The last prover proves one answer and puts another one on chain for the contract to act on:
    the answer is an instance of the proof."""
    query = version.request(client)
    for other in (bytes(4), ANSWER[2:] + ANSWER[:2]):
        with boa.reverts("router: proof refused"):
            version.fulfil(query, output=other)
    version.fulfil(query)


def test_a_stolen_key_after_its_rotation(world):
    """Somebody has stolen a member's encryption key and waits for queries: from the epoch on that
    the chain names, content keys are wrapped to the next one, and the stolen one opens what was
    wrapped before."""
    vault, owner = world.lower.vault, next(iter(world.owners.values()))
    stolen, fresh = generate_key(), generate_key()
    for key in (stolen, fresh):
        vault.set_encryption_key(public_bytes(key), sender=owner)
        pass_blocks(1, 3 * EPOCH_SECONDS)
    operator = Operator(Address(owner), *vault.operators(owner))
    context = WrapContext(1, Address("0x" + "11" * 20), QueryId(1), 0, operator.signer)
    before, after = (
        wrap_content_key(KEY, public_key(operator.encryption_key_at(Epoch(epoch))), context)
        for epoch in (operator.key_epoch - 1, operator.key_epoch)
    )
    assert unwrap_content_key(before, stolen, context) == KEY
    assert unwrap_content_key(after, fresh, context) == KEY
    with pytest.raises(InvalidMessage):
        unwrap_content_key(after, stolen, context)
