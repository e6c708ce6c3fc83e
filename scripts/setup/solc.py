"""Fetches the Solidity compiler that the generated verifiers are built with.

The compiler is the JavaScript build, which runs wherever Node does. It is laid out twice:
as .tools/bin/solc, and where the prover looks for it when XDG_DATA_HOME is .tools/share.
"""

import io
import os
import shlex
from pathlib import Path

from scripts.setup.node_runtime import find_node_runtime
from scripts.setup.npm_packages import fetch_file, read_pins
from scripts.setup.placing import TOOLS, place_file, place_link

SOLC = TOOLS / "bin" / "solc"
_SHIM = Path(__file__).with_name("solc.cjs")
_MEMBER = "package/soljson.js"


def provide_solc() -> Path:
    """A solc of the pinned version that takes --version and --standard-json."""
    package = read_pins()["solc"]
    compiler = TOOLS / f"solc-{package.version}" / "soljson.js"
    if _is_in_place(compiler):
        return SOLC
    runtime = find_node_runtime()
    if not compiler.is_file():
        print(f"Fetching solc {package.version} from npm.", flush=True)
        fetch_file(package, _MEMBER, compiler, runtime=runtime)
    place_link(SOLC, TOOLS / "share" / "svm" / package.version / f"solc-{package.version}")
    command = shlex.join([str(runtime.node), str(_SHIM), str(compiler)])
    place_file(io.BytesIO(f'#!/bin/sh\nexec {command} "$@"\n'.encode()), SOLC, mode=0o755)
    return SOLC


def _is_in_place(compiler: Path) -> bool:
    """Whether the start script still names a node, this checkout and this compiler."""
    if not (SOLC.is_file() and compiler.is_file()):
        return False
    _, node, *rest = shlex.split(SOLC.read_text().splitlines()[-1])
    return rest[:2] == [str(_SHIM), str(compiler)] and os.access(node, os.X_OK)
