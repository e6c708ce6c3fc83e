"""Exports ABIs for the SDK and storage layouts as goldens: `make abi`; `--check` only compares.

A file with a CamelCase name is deployable; a snake_case one is a module of others. A changed
layout golden in a diff is the sign that deployed storage would be read differently.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from vyper.cli.vyper_compile import compile_files

ROOT = Path(__file__).resolve().parents[1]


def deployable_contracts(contracts: Path) -> dict[str, Path]:
    """The contracts that stand alone, by name; a name given twice is an error."""
    found: dict[str, Path] = {}
    for source in sorted(contracts.rglob("*.vy")):
        if not source.stem[0].isupper():
            continue
        if source.stem in found:
            raise SystemExit(f"Two contracts are called {source.stem}: rename one.")
        found[source.stem] = source
    return found


def exported_files(root: Path) -> dict[Path, str]:
    """What the export folders should hold, by path."""
    files: dict[Path, str] = {}
    for name, source in deployable_contracts(root / "contracts").items():
        outputs = compile_files([str(source)], ["abi", "layout"], paths=[str(root)])
        compiled = next(iter(outputs.values()))
        files[_abi_folder(root) / f"{name}.json"] = _as_text(compiled["abi"])
        files[_layout_folder(root) / f"{name}.json"] = _as_text(compiled["layout"])
    return files


def stale_files(root: Path, wanted: Mapping[Path, str]) -> list[Path]:
    """The exports that are missing, differ, or belong to no contract any more."""
    folders = (_abi_folder(root), _layout_folder(root))
    present = {path for folder in folders for path in folder.glob("*.json")}
    differing = {
        path for path, text in wanted.items() if path not in present or path.read_text() != text
    }
    return sorted(differing | (present - wanted.keys()))


def export(root: Path, wanted: Mapping[Path, str]) -> None:
    """Makes the export folders hold exactly `wanted`."""
    for path in stale_files(root, wanted):
        if path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path])
        else:
            path.unlink()


def _abi_folder(root: Path) -> Path:
    return root / "sdk" / "nesa" / "chain" / "abi"


def _layout_folder(root: Path) -> Path:
    return root / "contracts" / "storage_layout"


def _as_text(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def main(arguments: Sequence[str]) -> int:
    """0 when the exports are as they should be; with --check nothing is written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; 1 when stale")
    options = parser.parse_args(arguments)
    wanted = exported_files(ROOT)
    stale = stale_files(ROOT, wanted)
    if options.check and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        print(f"Not what the contracts say, run `make abi`: {names}", file=sys.stderr)
        return 1
    export(ROOT, wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
