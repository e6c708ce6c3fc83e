"""The report says that all is well only when all is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nesa.cli.demo.report import Check, SceneReport, StoryReport, write
from nesa.protocol.errors import ExhaustedResource

GOOD = SceneReport("a contract asks", 1.0, (Check("it answers", True),), {"gas": 7})
BAD = SceneReport("a liar", 1.0, (Check("it is right", True), Check("unpaid", False, "paid")))
SILENT = SceneReport("nothing checked", 1.0, ())


def story(*scenes: SceneReport, expected: int) -> StoryReport:
    return StoryReport(scenes, 2.0, 3.0, expected)


def test_all_scenes_and_all_checks_must_hold() -> None:
    assert story(GOOD, GOOD, expected=2).holds
    assert not story(GOOD, BAD, expected=2).holds
    assert not story(GOOD, expected=2).holds
    assert not story(SILENT, expected=1).holds


def test_failures_name_scene_promise_and_what_was_seen() -> None:
    assert story(GOOD, BAD, expected=2).failures == ("a liar: unpaid (paid)",)


def test_the_file_is_json_with_the_verdict(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    write(story(GOOD, expected=1), path)
    found = json.loads(path.read_text())
    assert found["holds"] is True
    assert found["scenes"][0]["facts"] == {"gas": 7}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExhaustedResource, match="cannot write"):
        write(story(GOOD, expected=1), tmp_path / "nowhere" / "demo.json")
