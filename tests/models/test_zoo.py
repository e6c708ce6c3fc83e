"""Digests of machines are compared as they should."""

from tests.models.machines import mismatches


def test_a_difference_is_named():
    columns = {"one": {"a": "1", "b": "2"}, "other": {"a": "1", "b": "3"}, "third": {"a": "1"}}
    assert mismatches(columns) == ["other: b", "third: b"]
