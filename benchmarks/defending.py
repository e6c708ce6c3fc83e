"""What a miner needs to defend a shard: `python -m benchmarks.defending`, needs requirements/train.

MiniLM in three shards. Each shard is defended in a process of its own: it reads the published
files, computes every value of the shard, opens the game and shows each of its rows once. The
address space of the process is capped where `--cap` says so, as `ulimit -v` does.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

RESULTS: Final = Path(__file__).parent / "results" / "defending.md"
TOKENS, SHARDS = 64, 3
MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Usage:
    """What one defence took; memory in MiB, most at any time."""

    constants: float
    before: int
    resident: int
    addresses: int
    first_move: float
    every_row: float


def main() -> None:
    """Compiles, measures, prints, and writes the page where `--write` is given."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, help="of a compiled MiniLM, else it is compiled")
    parser.add_argument("--cap", type=int, default=512, help="MiB of address space")
    parser.add_argument("--shard", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    options = parser.parse_args()
    if options.shard is not None:
        print(*_defend(options.folder, options.shard))
        return
    with TemporaryDirectory() as scratch:
        folder = options.folder or _compile(Path(scratch))
        page = report(folder, options.cap)
    print(page)
    if options.write:
        RESULTS.write_text(page + "\n", encoding="utf-8")


def report(folder: Path, cap: int) -> str:
    """The table in markdown."""
    found = [_measure(folder, shard, cap) for shard in range(SHARDS)]
    return "\n".join(
        [
            "# Memory of a defence",
            "",
            f"all-MiniLM-L6-v2 of {TOKENS} tokens in {SHARDS} shards, one process each, capped at "
            f"{cap} MiB of address space. MiB are the most at any time; `imported` is what Python "
            "and its libraries take before anything is read.",
            "",
            "| shard | constants, MiB | imported, MiB | resident, MiB | addresses, MiB "
            "| first move, s | every row shown, s |",
            "|---:|---:|---:|---:|---:|---:|---:|",
            *(
                f"| {shard} | {one.constants:.1f} | {one.before} | {one.resident} "
                f"| {one.addresses} | {one.first_move:.1f} | {one.every_row:.1f} |"
                for shard, one in enumerate(found)
            ),
        ]
    )


def _measure(folder: Path, shard: int, cap: int) -> Usage:
    command = [sys.executable, "-m", "benchmarks.defending", "--folder", str(folder)]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (cap * MIB, cap * MIB))

    ended = subprocess.run(
        [*command, "--shard", str(shard)],
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise SystemExit(f"shard {shard} cannot be defended within {cap} MiB:\n{ended.stderr}")
    constants, before, resident, addresses, first, every = ended.stdout.split()
    memory = (int(before), int(resident), int(addresses))
    return Usage(float(constants), *memory, float(first), float(every))


def _defend(folder: Path, shard: int) -> tuple[float | int, ...]:
    # What a process loads counts, so that nothing else of this page is imported there.
    from nesa.models.disputes.game import Opened
    from nesa.models.disputes.parties import Defender
    from nesa.models.index import decode_index, unword
    from nesa.models.judging import Witness
    from nesa.models.publish import PublishedVersion

    before, began = _peak("VmHWM"), time.perf_counter()
    index = decode_index((folder / "model.json").read_bytes())
    paths = {unword(root): folder / path for path, root in index.files.items()}
    version = PublishedVersion(index, lambda digest: paths[digest].read_bytes())
    table = version.definition(shard)
    given = version.known_answers(shard)[0].inputs
    defender = Defender(Witness.of_shard(table, shard, given), shard)
    defender.reply(Opened(defender.charge))
    first_move = time.perf_counter() - began
    for row in range(defender.shard.first, defender.shard.end):
        defender.show_row(row)
    every_row = time.perf_counter() - began
    held = [one.values.nbytes for row in table.rows for one in row.parameters]
    return sum(held) / MIB, before, _peak("VmHWM"), _peak("VmPeak"), first_move, every_row


def _peak(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) >> 10


def _compile(scratch: Path) -> Path:
    from nesa.cli import compiling
    from nesa.models.description import read_description
    from nesa.models.folder import save
    from scripts import minilm

    minilm.write_float_model(TOKENS, scratch)
    model, _ = compiling.compile_from_files(
        (scratch / "model.onnx").read_bytes(),
        compiling.read_data(scratch / "data.npz"),
        read_description(scratch / "words.json"),
        compiling.Plan(SHARDS, percentile=100.0),
    )
    save(model, scratch / model.name)
    return scratch / model.name


if __name__ == "__main__":
    main()
