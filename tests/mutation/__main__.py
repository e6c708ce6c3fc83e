"""Takes safety rules out of the contracts, one at a time, and sees whether a test notices.

`python -m tests.mutation` judges every contract, `--contract NAME` one of them (a file's stem).
Ends with 1 when a mutant lives that `survivors.toml` does not explain.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from tests.mutation.mutants import Mutant, find_mutants
from tests.mutation.selection import choose_tests
from tests.mutation.workshop import ROOT, Judgement, Verdict, Workshop

FOLDER: Final = Path(__file__).parent
SURVIVORS: Final = FOLDER / "survivors.toml"
RESULTS: Final = FOLDER / "RESULTS.md"
WORKSHOPS: Final = ROOT / ".cache" / "mutation"
TIMEOUT: Final = 900.0


@dataclass(frozen=True, slots=True)
class Row:
    """A mutant and what became of it."""

    mutant: Mutant
    judgement: Judgement

    @property
    def lives(self) -> bool:
        """Whether no test noticed."""
        return self.judgement.verdict is Verdict.SURVIVED


def explained() -> dict[str, str]:
    """Reasons of the survivors that are accepted, by the mutant's name."""
    entries = tomllib.loads(SURVIVORS.read_text()).get("survivor", [])
    return {entry["mutant"]: entry["reason"] for entry in entries}


def mutants_of(names: Sequence[str], statement: str = "") -> list[Mutant]:
    """Mutants of the contracts with these stems, of all when there is none."""
    files = sorted((ROOT / "contracts").rglob("*.vy"))
    chosen = [file for file in files if not names or file.stem in names]
    found = [m for file in chosen for m in find_mutants(ROOT, str(file.relative_to(ROOT)))]
    return [mutant for mutant in found if statement in mutant.name]


def judge(mutants: Sequence[Mutant], jobs: int, timeout: float) -> list[Row]:
    """What becomes of each mutant; tells of it as it goes."""
    shops: SimpleQueue[Workshop] = SimpleQueue()
    workshops = [Workshop(WORKSHOPS / str(number)) for number in range(jobs)]
    for workshop in workshops:
        shops.put(workshop.__enter__())

    def judge_one(mutant: Mutant) -> Row:
        workshop = shops.get()
        try:
            return _judge_in(workshop, mutant, timeout)
        finally:
            shops.put(workshop)

    try:
        with ThreadPoolExecutor(jobs) as pool:
            return [_tell(row) for row in pool.map(judge_one, mutants)]
    finally:
        for workshop in workshops:
            workshop.__exit__(None, None, None)


def _judge_in(workshop: Workshop, mutant: Mutant, timeout: float) -> Row:
    source = mutant.apply((workshop.tree / mutant.path).read_text())
    known = Memory(workshop.tree, mutant, source)
    judgement = known.read()
    if judgement is None:
        stages = [*known.killers(), *choose_tests(workshop.tree, mutant)]
        judgement = workshop.judge(mutant.path, source, stages, timeout)
        known.write(judgement)
    return Row(mutant, judgement)


class Memory:
    """What an earlier run found out: the dead stay dead while the contracts are the same, and what
    killed a mutant before is the likeliest judge of it when they are not."""

    def __init__(self, tree: Path, mutant: Mutant, source: str) -> None:
        files = sorted((tree / "contracts").rglob("*.vy*"))
        texts = {str(file.relative_to(tree)): file.read_text() for file in files}
        used = {mutant.path: source} | {path: texts[path] for path in _users(mutant.path, texts)}
        self._tree = tree
        self._file = WORKSHOPS / "judged" / f"{_digest((mutant.name, sorted(used.items())))}.json"
        self._killer = WORKSHOPS / "killers" / f"{_digest(mutant.name)}.txt"

    def read(self) -> Judgement | None:
        """The judgement, if there was one."""
        if not self._file.exists():
            return None
        values = json.loads(self._file.read_text())
        return Judgement(Verdict(values["verdict"]), values["killer"], values["seconds"])

    def killers(self) -> list[list[str]]:
        """The test that killed this mutant in other contracts, if it is still there."""
        if not self._killer.exists():
            return []
        test = self._killer.read_text()
        file, *_, function = test.split("::")
        source = self._tree / file
        is_there = source.exists() and f"def {function}(" in source.read_text()
        return [[test]] if is_there else []

    def write(self, judgement: Judgement) -> None:
        """Keeps the judgement of a mutant that did not live."""
        if judgement.verdict in (Verdict.KILLED, Verdict.STILLBORN):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(asdict(judgement)))
        if judgement.verdict is Verdict.KILLED and "::" in judgement.killer:
            self._killer.parent.mkdir(parents=True, exist_ok=True)
            self._killer.write_text(judgement.killer.partition("[")[0])


def _digest(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()


def _users(path: str, texts: dict[str, str]) -> list[str]:
    """Contracts that import the module at `path`, by name."""
    line = f"import {Path(path).stem}\n"
    return sorted(user for user, text in texts.items() if line in text)


def _tell(row: Row) -> Row:
    by = f"  by {row.judgement.killer}" if row.judgement.killer else ""
    print(f"{row.judgement.verdict:<17}{row.judgement.seconds:6.1f} s  {row.mutant.name}{by}")
    sys.stdout.flush()
    return row


def check_baseline(mutants: Iterable[Mutant], timeout: float) -> list[str]:
    """Contracts whose tests fail before anything is taken out."""
    first = {mutant.path: mutant for mutant in mutants}
    failed = []
    with Workshop(WORKSHOPS / "0") as workshop:
        for path, mutant in first.items():
            source, tests = (ROOT / path).read_text(), choose_tests(ROOT, mutant)
            judgement = workshop.judge(path, source, tests, timeout)
            if judgement.verdict is not Verdict.SURVIVED:
                failed.append(f"{path}: {judgement.killer}")
    return failed


def table(rows: Sequence[Row]) -> str:
    """Counts by contract in Markdown."""
    counts: dict[str, Counter[Verdict]] = {}
    for row in rows:
        counts.setdefault(row.mutant.path, Counter())[row.judgement.verdict] += 1
    lines = ["| contract | mutants | " + " | ".join(Verdict) + " |"]
    lines.append("|---" * (len(Verdict) + 2) + "|")
    total: Counter[Verdict] = sum(counts.values(), Counter())
    for path, count in [*sorted(counts.items()), ("**all**", total)]:
        cells = " | ".join(str(count[verdict]) for verdict in Verdict)
        lines.append(f"| {path.removeprefix('contracts/')} | {count.total()} | {cells} |")
    return "\n".join(lines)


def complaints(rows: Sequence[Row]) -> list[str]:
    """Survivors without a reason, and reasons without a survivor."""
    reasons = explained()
    living = {row.mutant.name for row in rows if row.lives}
    judged = {row.mutant.name for row in rows}
    untested = [
        f"its tests do not run: {row.mutant.name}"
        for row in rows
        if row.judgement.verdict is Verdict.UNTESTED
    ]
    unexplained = [f"nobody noticed: {name}" for name in sorted(living - reasons.keys())]
    stale = [f"no longer survives: {name}" for name in sorted((judged - living) & reasons.keys())]
    return untested + unexplained + stale


def write_results(rows: Sequence[Row], arguments: Sequence[str]) -> None:
    """The committed record of a run."""
    reasons = explained()
    date = datetime.now(UTC).date()
    head = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(head, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    living = sorted(row.mutant.name for row in rows if row.lives)
    notes = [f"* `{name}`: {reasons.get(name, 'not explained')}" for name in living]
    RESULTS.write_text(
        "# Mutation of the contracts\n\n"
        f"{date}, commit {commit.strip()}, `python -m tests.mutation {' '.join(arguments)}`. Each "
        "mutant lacks one safety rule or one line of state. Mutants that an earlier run killed in "
        "the same sources were not judged again.\n\n"
        f"{table(rows)}\n\n## Survivors\n\n" + "\n".join(notes) + "\n"
    )


def main(arguments: Sequence[str]) -> int:
    """Judge, print, compare with the explained survivors."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--contract", action="append", default=[], help="stem of a source file")
    parser.add_argument("--only", default="", help="part of a mutant's name")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds for a mutant")
    parser.add_argument("--no-baseline", action="store_true", help="trust that all tests pass")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md")
    options = parser.parse_args(arguments)

    mutants = mutants_of(options.contract, options.only)
    failed = [] if options.no_baseline else check_baseline(mutants, options.timeout)
    if failed:
        print("these fail as they are:", *failed, sep="\n  ")
        return 1
    rows = judge(mutants, options.jobs, options.timeout)
    print(table(rows))
    if options.write:
        write_results(rows, arguments)
    found = complaints(rows)
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
