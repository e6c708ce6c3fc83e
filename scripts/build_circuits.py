"""Builds circuits, verifiers and corner proofs of a compiled model.

    python -m scripts.build_circuits models/breast-cancer-mlp

Writes them into the model's folder and updates `model.json`, whose version root changes.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from nesa.models.folder import load, save
from nesa.models.proving.building import add_circuits
from nesa.models.proving.reference_string import REFERENCE_STRINGS, ReferenceFile, locate
from nesa.protocol.errors import InvalidConfiguration
from scripts.setup.solc import provide_solc

CACHE = Path(__file__).parents[1] / ".cache" / "proving"


def main() -> None:
    """Builds what the arguments name."""
    arguments = _arguments()
    reference = _reference(arguments.reference, arguments.ceremony)
    folder: Path = arguments.folder
    model = load(folder)
    built = add_circuits(model, folder, reference, arguments.cache, provide_solc())
    finished = asyncio.run(built)
    save(finished, folder)
    print(f"{finished.name}: version root 0x{finished.root.hex()}")
    for number, shard in enumerate(finished.shards):
        print(f"  shard {number}: circuit 0x{shard.circuit_digest.hex()}")
        print(f"           verifier 0x{shard.verifier_code_hash.hex()}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder of the compiled model")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where proving keys are kept")
    parser.add_argument(
        "--reference",
        default="development only",
        choices=sorted(known.name for known in REFERENCE_STRINGS.values()),
    )
    parser.add_argument("--ceremony", type=Path, help="file of a ceremony's reference string")
    return parser.parse_args()


def _reference(name: str, ceremony: Path | None) -> ReferenceFile:
    for known in REFERENCE_STRINGS.values():
        if known.name == name:
            return locate(known.digest, ceremony)
    raise InvalidConfiguration(f"reference string {name} is not a known one")


if __name__ == "__main__":
    main()
