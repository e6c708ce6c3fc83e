"""How fast an answer is guessed from a digest that is not blinded: `python -m
benchmarks.privacy.guessing [--write]`.

The secret answers are every other test row of breast-cancer-mlp; whoever guesses has the public
model, and its answers to the others. One core, hashing in Python.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from nesa.models.folder import load
from nesa.models.measuring import integer_outputs
from nesa.privacy.battery.guessing import digest_of, guess

MODEL: Final = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"
RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "guessing.md"


def main() -> None:
    """Print the page, and write it where `--write` is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    options = parser.parse_args()
    page = report()
    print(page)
    if options.write:
        RESULTS.write_text(page + "\n", encoding="utf-8")


def report() -> str:
    """Guess all of them; the page in markdown."""
    model = load(MODEL)
    answers = np.stack(integer_outputs(model.table, model.test_rows().inputs)).reshape(-1, 2)
    known, secrets = answers[::2], answers[1::2]
    seconds, tries = list[float](), list[int]()
    for first, second in secrets:
        digest = digest_of((int(first), int(second)), model.output_edge)
        begun = time.perf_counter()
        pair, tried = guess(digest, model.output_edge, known)
        if pair == (first, second):
            seconds.append(time.perf_counter() - begun)
            tries.append(tried)
    cells = (f"{int(median(tries)):,}", f"{max(tries):,}")
    times = (f"{median(seconds):.2f}", f"{max(seconds):.2f}")
    return (
        "# Guessing answers from digests\n\n"
        f"Answers of {MODEL.name} to every other test row, found from digests that are not blinded "
        "by who has the public model and its answers to the other rows. "
        f"{platform.system()} {platform.machine()}, one core, hashing in Python. "
        "Written by `python -m benchmarks.privacy.guessing --write`.\n\n"
        "| answers | guessed | tries, median | most | seconds, median | most |\n"
        "|--:|--:|--:|--:|--:|--:|\n"
        f"| {len(secrets)} | {len(seconds)} | {' | '.join([*cells, *times])} |"
    )


if __name__ == "__main__":
    main()
