"""What each party sees: a group nothing but noise, both groups everything, the client the weights.

T8 of the leakage battery: uniformity of shares, and what a classifier learns from one share.
"""

from __future__ import annotations

import secrets

import numpy as np
import pytest

from nesa.models.graph import ParameterKind
from nesa.privacy.shared.digits import SEED_BYTES
from nesa.privacy.shared.members import GroupMember
from nesa.privacy.shared.seeds import SeenSeeds, ShareSeed, expanded
from nesa.privacy.shared.session import SharedModel, ask
from nesa.privacy.shared.wire import ShareRequest, decode_request, encode_request
from nesa.protocol.errors import InvalidMessage, ReusedRandomness

from .parties import SESSION, Group, random_inputs, recording

CHI_SQUARE_255 = 330.5197
"""What a uniform byte's statistic exceeds with a chance of 0.001, 255 degrees of freedom."""

SEED = bytes(range(32))


async def views(model: SharedModel, inputs: tuple[bytes, ...]) -> tuple[list[bytes], list[bytes]]:
    """All requests that the only member of each group gets in one query."""
    pair = Group("first", model, 1), Group("second", model, 2)
    seen: tuple[list[bytes], list[bytes]] = [], []
    for group, record in zip(pair, seen, strict=True):
        group.answers = recording(group.answers, record)
    await ask(model, inputs, (pair[0].transport, pair[1].transport), SESSION)
    for record in seen:
        record.sort(key=lambda data: decode_request(data).number)
    return seen


def second_shares(product, value, count: int, generator) -> np.ndarray:
    """Digits of the second share of one value, drawn `count` times from repeatable seeds."""
    rows = []
    for _ in range(count):
        first = ShareSeed(generator.bytes(SEED_BYTES)).expand(product)
        rows.append(product.digits.rest(value, first).reshape(-1))
    return np.stack(rows)


@pytest.mark.parametrize("level", ["low", "high"])
def test_the_bytes_of_a_share_are_uniform_whatever_the_value(mlp, level):
    product, edge = mlp.plan.products[0], mlp.plan.table.inputs[0]
    value = np.full(edge.shape, getattr(edge, level), np.int64)
    digits = second_shares(product, value, 2000, np.random.default_rng(8))
    for place in range(product.digits.count):
        part = digits.reshape(len(digits), product.digits.count, -1)[:, place]
        counts = np.bincount(part.reshape(-1), minlength=256)
        expected = part.size / 256
        assert float(((counts - expected) ** 2 / expected).sum()) < CHI_SQUARE_255


def least_squares_accuracy(rows: np.ndarray, labels: np.ndarray) -> float:
    """Held-out share of right guesses of a linear classifier, fitted on the first half."""
    half = len(rows) // 2
    inputs = np.column_stack([rows / 128.0 - 1.0, np.ones(len(rows))])
    fitted, *_ = np.linalg.lstsq(inputs[:half], np.where(labels[:half], 1.0, -1.0), rcond=None)
    return float(((inputs[half:] @ fitted > 0) == labels[half:]).mean())


def test_a_classifier_on_one_share_is_at_chance_and_on_the_value_is_not(mlp):
    product, edge = mlp.plan.products[0], mlp.plan.table.inputs[0]
    generator = np.random.default_rng(9)
    values = generator.integers(edge.low, edge.high + 1, (6000, *edge.shape))
    labels = values.sum(axis=(1, 2)) > 0
    shares = [second_shares(product, value, 1, generator)[0] for value in values]
    assert least_squares_accuracy(values.reshape(6000, -1) + 128.0, labels) > 0.95
    # Three standard deviations of 3000 fair guesses.
    assert abs(least_squares_accuracy(np.stack(shares), labels) - 0.5) < 0.0274


async def test_the_first_group_gets_seeds_and_nothing_else(mlp):
    first, second = await views(mlp, random_inputs(mlp, 1))
    assert all(decode_request(data).digits is None for data in first)
    assert all(decode_request(data).seed is None for data in second)
    seeds = {decode_request(data).seed for data in first}
    assert len(seeds) == len(mlp.plan.products)


async def test_the_same_input_twice_shows_nothing_in_common(mlp):
    inputs = random_inputs(mlp, 2)
    once, again = await views(mlp, inputs), await views(mlp, inputs)
    for before, after in zip(once[1], again[1], strict=True):
        assert decode_request(before).digits != decode_request(after).digits


async def test_both_groups_together_reconstruct_every_value(mlp):
    """What the mode does not protect from: an operator in both groups, or two that collude."""
    inputs = random_inputs(mlp, 3)
    first, second = await views(mlp, inputs)
    product, edge = mlp.plan.products[0], mlp.plan.table.inputs[0]
    seed, rest = decode_request(first[0]).seed, decode_request(second[0]).digits
    assert seed is not None
    assert rest is not None
    shape = (product.digits.count, *product.shape)
    one = expanded(seed, product.input_edge).reshape(shape)
    other = np.frombuffer(rest, np.uint8).reshape(shape)
    modulus = product.digits.modulus
    total = product.digits.join(one.astype(np.int64) + other) % modulus
    value = np.where(total >= modulus // 2, total - modulus, total)
    assert edge.encode(value) == inputs[0]


def test_a_client_extracts_a_layer_from_what_it_is_sent(mlp):
    """What the mode does not hide: K + 1 inputs give a layer's weights and biases away."""
    product = mlp.plan.products[0]
    size = product.shape[-1]
    row = mlp.plan.table.rows[0]

    def accumulators(value: np.ndarray) -> np.ndarray:
        first = ShareSeed().expand(product)
        shares = [product.digits_of(one) for one in (first, product.digits.rest(value, first))]
        weights = product.row.parameter(ParameterKind.WEIGHTS)
        sums = [share.astype(np.int64) @ weights.T for share in shares]
        return product.combined(*sums)[1][0]

    biases = accumulators(np.zeros((1, size), np.int64))
    weights = np.stack([accumulators(unit[None]) - biases for unit in np.eye(size, dtype=np.int64)])
    assert np.array_equal(weights.T, row.parameter(ParameterKind.WEIGHTS))
    assert np.array_equal(biases, row.parameter(ParameterKind.BIASES))


def test_a_seed_hides_one_share_only(mlp):
    seed = ShareSeed()
    seed.expand(mlp.plan.products[0])
    with pytest.raises(ReusedRandomness, match="draw another"):
        seed.expand(mlp.plan.products[1])


def test_a_seed_used_twice_would_give_the_difference_away(mlp):
    """Why it is refused."""
    product = mlp.plan.products[0]
    values = [np.full(product.shape, number, np.int64) for number in (100, 3)]
    rest = [product.digits.rest(value, ShareSeed(SEED).expand(product)) for value in values]
    sums = [product.digits.join(one.astype(np.int64)) for one in rest]
    assert ((sums[0] - sums[1]) % product.digits.modulus == 97).all()


def requested(number: int, seed: bytes | None = None, digits: bytes | None = None) -> bytes:
    return encode_request(ShareRequest(number, 0, seed, digits))


@pytest.fixture
def member(mlp) -> GroupMember:
    """One honest member."""
    return Group("first", mlp, 1).honest[0]


def test_a_member_refuses_a_seed_for_a_second_share_but_answers_a_repeated_request(member):
    seed = secrets.token_bytes(32)
    assert member.answer(requested(0, seed)) == member.answer(requested(0, seed))
    with pytest.raises(ReusedRandomness, match="draw another"):
        member.answer(requested(1, seed))


def test_a_member_forgets_the_oldest_seeds():
    seen = SeenSeeds(remembered=2)
    for number in range(3):
        seen.admit(bytes([number]) * 32, (number, 0))
    seen.admit(bytes(32), (9, 0))
    with pytest.raises(ReusedRandomness):
        seen.admit(b"\2" * 32, (9, 0))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends early"),
        (bytes(5 << 20), "over the limit"),
        (requested(99, SEED), "has 3 products"),
        (requested(0), "either a seed or digits"),
        (requested(0, SEED, b"\0"), "either a seed or digits"),
        (requested(0, None, b"\0"), "no share of this product"),
    ],
)
def test_a_member_refuses_malformed_requests(member, data, reason):
    with pytest.raises(InvalidMessage, match=reason):
        member.answer(data)


def test_a_seed_of_another_length_is_refused():
    with pytest.raises(InvalidMessage, match="32 bytes"):
        SeenSeeds().admit(b"\0", (0, 0))


def test_a_product_holds_no_biases(transformer):
    """The client adds them once; a group would add them to a share."""
    for product in transformer.plan.products:
        assert not product.row.parameter(ParameterKind.BIASES).any()
