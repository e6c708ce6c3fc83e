"""Ties of axes: splitting, cutting, duals, and what a transform may depend on."""

from __future__ import annotations

import pytest

from nesa.privacy.equivariant.axes import MOST_TRANSFORMS, AxisTies
from nesa.privacy.equivariant.conditions import PERMUTATION, Conditions
from nesa.privacy.equivariant.layouts import Joined, Leaf, leaves_of
from nesa.protocol.errors import InvalidModel


def test_an_axis_that_meets_its_own_dual_is_orthogonal() -> None:
    ties = AxisTies()
    axis = ties.new(8)
    ties.array((axis,))
    ties.tie(axis, ties.dual(axis))
    (leaf,) = ties.layouts().leaves()
    assert leaf.rules == Conditions.ORTHOGONAL


def test_a_dual_goes_along_through_ties_and_splits() -> None:
    ties = AxisTies()
    query, key = ties.new(12), ties.new(12)
    ties.tie(query, ties.dual(key))
    heads, inside = ties.regrouped((key,), (3, 4))
    ties.array((query,))
    layouts = ties.layouts()
    assert [leaf.dual for leaf in leaves_of(layouts.of((query,)))] == [True, True]
    assert [leaf.dual for leaf in leaves_of(layouts.of((heads, inside)))] == [False, False]


def test_conditions_are_those_of_all_that_is_tied() -> None:
    ties = AxisTies()
    axes = [ties.new(6) for _ in range(3)]
    ties.narrow(axes[0], Conditions.SPARSE)
    ties.tie(axes[0], axes[1])
    ties.tie(axes[1], axes[2])
    ties.narrow(axes[2], Conditions.ORTHOGONAL)
    parts = ties.regrouped((axes[1],), (2, 3))
    ties.array(parts)
    assert {leaf.rules for leaf in ties.layouts().leaves()} == {PERMUTATION}


def test_splits_that_cross_freeze_what_they_cross_and_no_more() -> None:
    ties = AxisTies(PERMUTATION)
    axis, other = ties.new(24), ties.new(5)
    ties.regrouped((axis, other), (4, 6, 5))
    ties.regrouped((axis, other), (3, 8, 5))
    ties.array((axis, other))
    rules = {leaf.size: leaf.stays for leaf in ties.layouts().leaves()}
    assert rules == {4: True, 6: True, 5: False}


def test_an_axis_that_stands_twice_in_an_array_is_split_once() -> None:
    ties = AxisTies(PERMUTATION)
    axis = ties.new(6)
    made = ties.regrouped((axis, axis), (2, 6, 3))
    ties.array(made)
    layouts = ties.layouts()
    assert layouts.of(made) == layouts.of((axis, axis))
    assert [leaf.size for leaf in leaves_of(layouts.of((axis,)))] == [2, 3]


def test_axes_of_different_sizes_are_refused() -> None:
    ties = AxisTies()
    with pytest.raises(InvalidModel, match="6 and 4"):
        ties.tie(ties.new(6), ties.new(4))


def test_two_cuts_of_one_axis_give_three_segments() -> None:
    ties = AxisTies(PERMUTATION)
    one, other = ties.new(10), ties.new(10)
    ties.sliced(one, 0, 4)
    ties.sliced(other, 7, 10)
    ties.tie(one, other)
    ties.array((one,))
    (place,) = ties.layouts().of((other,))
    assert isinstance(place, Joined)
    assert [leaf.size for leaf in leaves_of((place,))] == [4, 3, 3]


def test_a_cut_across_heads_freezes_the_axis() -> None:
    ties = AxisTies(PERMUTATION)
    axis = ties.new(12)
    ties.regrouped((axis,), (3, 4))
    part = ties.sliced(axis, 0, 6)
    ties.array((axis,))
    assert all(leaf.stays for leaf in ties.layouts().leaves())
    assert all(atom.conditions & Conditions.FIXED for atom, _ in ties.flat(part))


def test_planes_are_not_split_or_cut() -> None:
    for spoil in (
        lambda ties, axis: ties.regrouped((axis,), (2, 4)),
        lambda ties, axis: ties.sliced(axis, 0, 4),
    ):
        before, after = AxisTies(), AxisTies()
        axis = before.new(8)
        before.narrow(axis, Conditions.PLANES)
        spoil(before, axis)
        before.array((axis,))
        assert all(leaf.stays for leaf in before.layouts().leaves())
        axis = after.new(8)
        spoil(after, axis)
        after.narrow(axis, Conditions.PLANES)
        after.array((axis,))
        assert all(leaf.stays for leaf in after.layouts().leaves())


def test_a_transform_depends_on_what_stands_beside_it_everywhere() -> None:
    ties = AxisTies(PERMUTATION)
    tokens, heads, inside = ties.new(5), ties.new(3), ties.new(4)
    ties.array((tokens, heads, inside))
    ties.array((heads, inside))
    ties.array((heads, tokens, tokens))
    found = {leaf.size: leaf for leaf in ties.layouts().leaves()}
    assert found[4].parents == ((found[3].label, 3),)
    assert found[3].parents == found[5].parents == ()


def test_what_mixes_places_guides_nobody() -> None:
    ties = AxisTies()
    heads, inside = ties.new(3), ties.new(4)
    ties.array((heads, inside))
    ties.array((heads,))
    assert all(leaf.parents == () for leaf in ties.layouts().leaves())


def test_there_is_a_limit_to_how_many_transforms_are_drawn() -> None:
    ties = AxisTies(PERMUTATION)
    axes = [ties.new(size) for size in (MOST_TRANSFORMS, 2, 3)]
    for count in (1, 2, 3):
        ties.array(axes[:count])
    found = {leaf.size: leaf for leaf in ties.layouts().leaves()}
    assert [size for _, size in found[2].parents] == [MOST_TRANSFORMS]
    assert [size for _, size in found[3].parents] == [MOST_TRANSFORMS]


def test_what_no_array_holds_stays() -> None:
    ties = AxisTies(PERMUTATION)
    (place,) = ties.layouts().of((ties.new(7),))
    assert isinstance(place, Leaf)
    assert place.stays


def test_too_many_segments_stay() -> None:
    ties = AxisTies(PERMUTATION)
    axis = ties.joined([ties.new(2) for _ in range(70)])
    ties.array((axis, axis))
    assert all(leaf.stays for leaf in leaves_of(ties.layouts().of((axis,))))


def test_where_a_row_goes_does_not_depend_on_what_is_mixed_in_it() -> None:
    ties = AxisTies(PERMUTATION)
    rows, places = ties.new(5), ties.new(3)
    ties.array((rows, places))
    ties.mixed((rows,), places)
    found = {leaf.size: leaf for leaf in ties.layouts().leaves()}
    assert found[5].parents == ()
    assert found[3].parents == ((found[5].label, 5),)


def test_an_axis_in_segments_that_meets_another_of_itself_is_cut_in_both() -> None:
    ties = AxisTies(PERMUTATION)
    part = ties.new(4)
    whole = ties.joined([part, ties.new(4), part])
    other = ties.joined([ties.new(2), ties.new(10)])
    ties.tie(whole, other)
    ties.array((whole,))
    leaves = leaves_of(ties.layouts().of((other,)))
    assert [leaf.size for leaf in leaves] == [2, 2, 4, 2, 2]
    assert leaves[:2] == leaves[3:]
