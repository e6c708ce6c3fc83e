"""What the demo found out, as data: `--json FILE` writes exactly this."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nesa.cli.output import plain
from nesa.protocol.errors import ExhaustedResource


@dataclass(frozen=True, slots=True)
class Check:
    """One outcome that the story promises: what should hold, whether it did, what was seen."""

    promise: str
    holds: bool
    seen: str = ""


@dataclass(frozen=True, slots=True)
class SceneReport:
    """One scene: its checks and every figure that it showed."""

    title: str
    seconds: float
    checks: tuple[Check, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every check of the scene holds, and there is one."""
        return bool(self.checks) and all(check.holds for check in self.checks)


@dataclass(frozen=True, slots=True)
class StoryReport:
    """The whole demo; `story_seconds` leaves out set-up work that is cached between runs."""

    scenes: tuple[SceneReport, ...]
    preparation_seconds: float
    story_seconds: float
    expected_scenes: int

    @property
    def holds(self) -> bool:
        """Whether all scenes were told and every check of each holds."""
        return len(self.scenes) == self.expected_scenes and all(s.holds for s in self.scenes)

    @property
    def failures(self) -> tuple[str, ...]:
        """Every broken promise, with its scene."""
        return tuple(
            f"{scene.title}: {check.promise} ({check.seen})"
            for scene in self.scenes
            for check in scene.checks
            if not check.holds
        )

    def document(self) -> dict[str, Any]:
        """The report from JSON types only."""
        return {"holds": self.holds, "failures": list(self.failures), **plain(self)}


def write(report: StoryReport, path: Path) -> None:
    """Write the report whole or not at all.

    Raises:
        ExhaustedResource: the file cannot be written.
    """
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_text(json.dumps(report.document(), indent=2) + "\n", encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        raise ExhaustedResource(f"cannot write {path}: {error.strerror}") from error
