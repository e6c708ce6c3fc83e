"""What commands print for people: lists in lines, and never a blank."""

from __future__ import annotations

import pytest

from nesa.cli.output import show


def test_a_list_of_seats_has_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    seats = [{"operator": "0x1", "shard": 0}, {"operator": "0x2", "shard": 1}]
    show({"version": "0xab", "ended_seats": seats}, as_json=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["version", "0xab"],
        ["ended", "seats", "operator", "0x1,", "shard", "0"],
        ["operator", "0x2,", "shard", "1"],
    ]


def test_an_empty_list_is_no_blank(capsys: pytest.CaptureFixture[str]) -> None:
    show({"ended": []}, as_json=False)
    assert capsys.readouterr().out.split() == ["ended", "none"]


def test_other_lists_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show({"accounts": ("0x1", "0x2")}, as_json=False)
    assert capsys.readouterr().out.split() == ["accounts", "0x1,", "0x2"]
