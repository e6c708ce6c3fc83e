"""What is drawn from a key: fair, within its conditions, and undone again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.privacy.equivariant.conditions import PERMUTATION, Conditions
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.layouts import Joined, Layout, Leaf, elements
from nesa.privacy.equivariant.moves import Mixed, Mover, Permuted, draw
from nesa.protocol.errors import InvalidInput

PERMUTED = [7, 5, 0, 2, 1, 3, 6, 4]
FINGERPRINT = "141e839742b1c6520e77f08f20dbdc4ab423b3c8f9cf1f0480d3fe6f845f382c"
MATRIX = [[-0.169837910557, -1.483426029516], [1.340297851687, -0.758727156737]]

ALL = (
    Conditions.NONE,
    Conditions.ORTHOGONAL,
    Conditions.ORTHOGONAL | Conditions.FIXING_ONES,
    Conditions.SPARSE,
    PERMUTATION,
    Conditions.PLANES,
    Conditions.PLANES | Conditions.ORTHOGONAL,
)


def leaf(rules: Conditions, size: int = 6, label: int = 0, **more: object) -> Leaf:
    return Leaf.model_validate(
        {"label": label, "size": size, "conditions": int(rules), **more}, strict=False
    )


def matrix(rules: Conditions, size: int = 6) -> np.ndarray:
    key = EquivariantKey(bytes(32), bytes(32))
    return Mover(key).move(np.eye(size), (leaf(rules, size), leaf(Conditions.FIXED, size, 1)))


def test_each_matrix_keeps_its_conditions() -> None:
    eye, ones = np.eye(6), np.ones(6)
    for rules in ALL:
        found = matrix(rules)
        assert not np.allclose(found, eye)
        assert np.linalg.cond(found) < 50
        if Conditions.ORTHOGONAL in rules:
            assert np.allclose(found @ found.T, eye)
        if Conditions.FIXING_ONES in rules:
            assert np.allclose(found @ ones, ones)
        if Conditions.SPARSE in rules:
            assert (np.count_nonzero(found, axis=0) == 1).all()
            assert (found >= 0).all()
        if Conditions.PLANES in rules:
            pairs = found.reshape(2, 3, 2, 3)
            assert np.allclose(pairs * (1 - np.eye(3))[None, :, None, :], 0)
            assert np.allclose(pairs[0, :, 0], pairs[1, :, 1])
            assert np.allclose(pairs[0, :, 1], -pairs[1, :, 0])
    assert np.allclose(matrix(Conditions.FIXED), eye)
    assert np.allclose(matrix(Conditions.PLANES | Conditions.SPARSE), eye)


def test_a_dual_undoes_a_sum_of_products() -> None:
    key = EquivariantKey(bytes(32), bytes(32))
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 6))
    for rules in ALL:
        moved = Mover(key).move(one, (leaf(rules),))
        dual = Mover(key).move(other, (leaf(rules, dual=True),))
        assert np.allclose(moved @ dual, one @ other)


layouts = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(ALL), st.booleans()), min_size=1, max_size=3
)


@settings(max_examples=60, deadline=None)
@given(places=layouts, seed=st.binary(min_size=32, max_size=32), cut=st.booleans())
def test_what_is_moved_comes_back(
    places: list[tuple[int, Conditions, bool]], seed: bytes, cut: bool
) -> None:
    parent = leaf(PERMUTATION, 3, 0)
    rules = dict(enumerate(ALL))
    inner = tuple(
        leaf(rules[label], 4, label + 1, parents=((0, 3),), dual=dual) for label, _, dual in places
    )
    layout: Layout = (parent, *inner)
    if cut:
        layout = (Joined(segments=(layout, (leaf(PERMUTATION, 5, 9),))), leaf(PERMUTATION, 2, 8))
    mover = Mover(EquivariantKey(seed, bytes(32)))
    values = np.random.default_rng(1).normal(size=elements(layout))
    assert np.allclose(mover.back(mover.move(values, layout), layout), values)


def test_children_move_with_where_their_parents_were() -> None:
    key = EquivariantKey(bytes(32), bytes(32))
    layout = (leaf(PERMUTATION, 3, 0), leaf(PERMUTATION, 4, 1, parents=((0, 3),)))
    mover = Mover(key)
    moved = mover.move(np.arange(12).reshape(3, 4), layout)
    heads, inside = (mover.of(one) for one in layout)
    assert isinstance(heads, Permuted)
    assert isinstance(inside, Permuted)
    for head in range(3):
        for place in range(4):
            new = moved[heads.places[head], inside.places[head, place]]
            assert new == 4 * head + place
    assert len({tuple(row) for row in inside.places.tolist()}) > 1


def test_a_move_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="layout of others"):
        Mover(EquivariantKey(bytes(32), bytes(32))).move(np.zeros(5), (leaf(PERMUTATION, 6),))


def test_keys_of_seeds_versions_and_epochs_have_nothing_in_common() -> None:
    keys = [
        EquivariantKey(seed, version, epoch)
        for seed in (bytes(32), bytes(31) + b"\1")
        for version in (bytes(32), bytes(31) + b"\1")
        for epoch in (0, 1)
    ]
    assert len({key.fingerprint for key in keys}) == len(keys)
    drawn = [key.stream(3).permutation(50).tolist() for key in keys]
    assert len({tuple(one) for one in drawn}) == len(keys)
    assert keys[0].rotated().fingerprint == keys[1].fingerprint
    assert keys[0].fingerprint not in (keys[0].seed, keys[0].authentication_key)


def test_the_transforms_of_a_key_never_change() -> None:
    """Models that were registered must stay readable."""
    key = EquivariantKey(bytes(range(32)), bytes(32), 7)
    assert key.stream(5).permutation(8).tolist() == PERMUTED
    assert key.fingerprint.hex() == FINGERPRINT
    drawn = draw(leaf(Conditions.NONE, 2), key.stream(6))
    assert isinstance(drawn, Mixed)
    assert np.allclose(drawn.matrices, MATRIX)


@pytest.mark.parametrize(
    ("seed", "version", "epoch"),
    [
        (bytes(31), bytes(32), 0),
        (bytes(32), bytes(31), 0),
        (bytes(32), bytes(32), -1),
        (bytes(32), bytes(32), 2**32),
    ],
)
def test_malformed_keys_are_refused(seed: bytes, version: bytes, epoch: int) -> None:
    with pytest.raises(InvalidInput):
        EquivariantKey(seed, version, epoch)
