"""`python -m tests.coverage` runs the contracts' tests and prints how many branches they took.

Ends with 1 when a test fails, a source is below the bound, or `unreachable.toml` is wrong;
`--missing` lists what no test did.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.coverage.branches import Decision
from tests.coverage.recorder import Recorder

BOUND: Final = 95.0
"""Per cent of each contract's branches."""

UNREACHABLE: Final = Path(__file__).with_name("unreachable.toml")

TESTS: Final = ("tests/contracts", "tests/adversary", "tests/conformance")
OPTIONS: Final = ("-q", "-p", "no:cacheprovider", "--ignore=tests/adversary/daemons")


@dataclass(frozen=True, slots=True)
class Row:
    """One source file: its branches, and those that no test took, explained or not."""

    file: str
    branches: int
    missing: tuple[tuple[Decision, bool], ...]
    explained: int = 0

    @property
    def taken(self) -> int:
        """How many were taken."""
        return self.branches - len(self.missing) - self.explained

    @property
    def share(self) -> float:
        """Per cent of the branches that were taken, of those that can be."""
        reachable = self.branches - self.explained
        return 100 * self.taken / reachable if reachable else 100.0


def name(decision: Decision) -> str:
    """What `unreachable.toml` knows a decision by; line numbers change too often for that."""
    return f"{decision.file}: {decision.text}"


def unreachable() -> dict[str, str]:
    """Reasons by the decision's name."""
    entries = tomllib.loads(UNREACHABLE.read_text()).get("unreachable", [])
    return {entry["decision"]: entry["reason"] for entry in entries}


def rows(taken: dict[Decision, set[bool]], explained: Collection[str] = ()) -> list[Row]:
    """One row a source file. Each decision has two branches."""
    by_file: dict[str, list[Decision]] = defaultdict(list)
    for decision in sorted(taken):
        by_file[decision.file].append(decision)
    return [_row(file, found, taken, explained) for file, found in by_file.items()]


def _row(
    file: str,
    found: Sequence[Decision],
    taken: dict[Decision, set[bool]],
    explained: Collection[str],
) -> Row:
    lacking = [(one, way) for one in found for way in (True, False) if way not in taken[one]]
    missing = tuple((one, way) for one, way in lacking if name(one) not in explained)
    return Row(file, 2 * len(found), missing, len(lacking) - len(missing))


def stale(taken: dict[Decision, set[bool]], explained: Collection[str]) -> list[str]:
    """Explanations of what was taken, or is not there."""
    lacking = {name(decision) for decision, ways in taken.items() if len(ways) < 2}
    return sorted(set(explained) - lacking)


def table(found: Iterable[Row]) -> str:
    """Markdown."""
    lines = ["| source | branches | taken | explained | per cent |", "|---|---:|---:|---:|---:|"]
    lines += [
        f"| {row.file} | {row.branches} | {row.taken} | {row.explained} | {row.share:.1f} |"
        for row in found
    ]
    return "\n".join(lines)


def missing(found: Iterable[Row]) -> str:
    """One line for each decision that did not go both ways."""
    ways = Counter(one for row in found for one, _ in row.missing)
    return "\n".join(
        f"{one.file}:{one.line}: {'never reached' if count == 2 else 'goes one way only'}: "
        f"{one.text[:100]}"
        for one, count in ways.items()
    )


def main() -> int:
    """Run the tests, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--missing", action="store_true", help="list branches that no test took")
    parser.add_argument("tests", nargs="*", default=TESTS, help="files or folders of tests")
    arguments = parser.parse_args()
    recorder = Recorder()
    recorder.install()
    code = pytest.main([*OPTIONS, *arguments.tests])
    explained = unreachable()
    found = rows(recorder.taken, explained)
    print(table(found))
    if arguments.missing:
        print(missing(found))
    complaints = [f"below {BOUND:g} per cent: {r.file}" for r in found if r.share < BOUND]
    complaints += [f"can be reached, or is gone: {one}" for one in stale(recorder.taken, explained)]
    print("\n".join(complaints))
    return 1 if code != pytest.ExitCode.OK or complaints else 0


if __name__ == "__main__":
    sys.exit(main())
