"""`python -m tests.coverage` runs the contracts' tests and prints how many branches they took.

Ends with 1 when a test fails or a contract is below the bound; `--missing` lists what no test did.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pytest

from tests.coverage.branches import Decision
from tests.coverage.recorder import Recorder

BOUND: Final = 95.0
"""Per cent of each contract's branches."""

TESTS: Final = ("tests/contracts", "tests/adversary", "tests/conformance")
OPTIONS: Final = ("-q", "-p", "no:cacheprovider", "--ignore=tests/adversary/daemons")


@dataclass(frozen=True, slots=True)
class Row:
    """One source file: its branches, and those that no test took."""

    file: str
    branches: int
    missing: tuple[tuple[Decision, bool], ...]

    @property
    def taken(self) -> int:
        """How many were taken."""
        return self.branches - len(self.missing)

    @property
    def share(self) -> float:
        """Per cent of the branches that were taken."""
        return 100 * self.taken / self.branches if self.branches else 100.0


def rows(taken: dict[Decision, set[bool]]) -> list[Row]:
    """One row a source file. Each decision has two branches."""
    by_file: dict[str, list[Decision]] = defaultdict(list)
    for decision in sorted(taken):
        by_file[decision.file].append(decision)
    return [
        Row(file, 2 * len(found), tuple(_missing(found, taken))) for file, found in by_file.items()
    ]


def _missing(
    found: Iterable[Decision], taken: dict[Decision, set[bool]]
) -> Iterable[tuple[Decision, bool]]:
    return [(one, way) for one in found for way in (True, False) if way not in taken[one]]


def table(found: Iterable[Row]) -> str:
    """Markdown."""
    lines = ["| source | branches | taken | per cent |", "|---|---:|---:|---:|"]
    lines += [f"| {r.file} | {r.branches} | {r.taken} | {r.share:.1f} |" for r in found]
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
    found = rows(recorder.taken)
    print(table(found))
    if arguments.missing:
        print(missing(found))
    low = [row.file for row in found if row.share < BOUND]
    if low:
        print(f"below {BOUND:g} per cent: {', '.join(low)}")
    return 1 if code != pytest.ExitCode.OK or low else 0


if __name__ == "__main__":
    sys.exit(main())
