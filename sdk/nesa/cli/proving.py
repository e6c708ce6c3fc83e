"""Circuits for a compiled model, as `nesa model circuits` makes them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nesa.models.folder import CompiledModel, load, save
from nesa.models.proving.building import add_circuits, of_kind
from nesa.models.proving.reference_string import CEREMONY_K15, development_only, from_file
from nesa.models.proving.verifier import SOLC_VARIABLE, SOLC_VERSION, find_solc
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.errors import InvalidConfiguration


def with_circuits(
    folder: Path,
    kind: CircuitKind,
    output: Path,
    name: str | None,
    cache: Path,
    ceremony: Path | None,
) -> CompiledModel:
    """The model in `folder` with circuits of `kind`, written to `output`.

    Proving keys stay in `cache`. `ceremony` is the file of a reference string, by default the one
    for development.

    Raises:
        InvalidModel: a shard cannot be proved.
        InvalidConfiguration: there is no solc, or something is in `output` already.
        ExhaustedResource: time, memory or disk is used up.
    """
    solc = find_solc()
    if solc is None:
        raise InvalidConfiguration(
            f"verifiers are compiled with solc {SOLC_VERSION}; put it on the search path or name "
            f"it in {SOLC_VARIABLE}"
        )
    if output.is_dir() and any(output.iterdir()):
        raise InvalidConfiguration(f"{output} holds something already; choose another folder")
    reference = development_only()
    if ceremony is not None:
        reference = from_file(ceremony, CEREMONY_K15.digest)
    model = of_kind(load(folder), kind, name or output.name)
    save(model, output)
    made = asyncio.run(add_circuits(model, output, reference, cache, solc))
    save(made, output)
    return made
