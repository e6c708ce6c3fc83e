"""`nesa model compile|circuits|check`: from a float model to one that can be registered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table

from nesa.cli.commands.model.arguments import FILE, FOLDER
from nesa.cli.commands.model.facts import compiled_facts
from nesa.cli.output import console, json_option, safe, show
from nesa.models.report import LayerReport
from nesa.protocol.circuits import CircuitKind


@click.command(
    epilog="Example: nesa model compile net.onnx data.npz words.json --output models/net --shards 2"
)
@click.argument("onnx", type=FILE)
@click.argument("data", type=FILE)
@click.argument("description", type=FILE)
@click.option("--output", type=FOLDER, required=True, help="Folder of the compiled model.")
@click.option("--shards", type=click.IntRange(1, 8), default=1, show_default=True)
@click.option(
    "--fine-tune",
    "epochs",
    type=click.IntRange(0, 10_000),
    default=0,
    metavar="EPOCHS",
    help="Passes over the calibration rows that adapt the weights to rounding; needs torch.",
)
@click.option(
    "--percentile",
    type=click.FloatRange(50, 100),
    default=99.9,
    show_default=True,
    help="Share of a tensor's calibrated magnitudes that its range holds; transformers like 100.",
)
@json_option
def compile(
    onnx: Path,
    data: Path,
    description: Path,
    output: Path,
    shards: int,
    epochs: int,
    percentile: float,
    as_json: bool,
) -> None:
    """Compile the float model ONNX to a table of integer operators.

    DATA is an npz file: `calibration` rows in the model's units, and test rows `features` in those
    of people, for a classifier with their `labels`. DESCRIPTION is JSON with name, title,
    description, data, licence, features (name, unit, offset, step; one may stand for all), and
    labels; or, for models that answer with numbers, "task": "embedding" or "regression" and, when
    they read text, "tokens": {"tokenizer": "its name", "padding": 0}.
    """
    from nesa.cli import compiling
    from nesa.models.description import read_description
    from nesa.models.folder import save

    words = read_description(description)
    given = compiling.read_data(data)
    float_model = compiling.read_model_file(onnx)
    compiled, layers = compiling.compile_from_files(
        float_model, given, words, compiling.Plan(shards, epochs, percentile)
    )
    save(compiled, output)
    facts = {"folder": output, **compiled_facts(compiled)}
    if as_json:
        show({**facts, "layers": [_layer_facts(layer) for layer in layers]}, as_json=True)
        return
    show(facts, as_json=False)
    console().print(_layer_table(layers))


@click.command(
    epilog="Example: nesa model circuits models/breast-cancer-mlp --kind hashed "
    "--output breast-cancer-mlp-hashed"
)
@click.argument("folder", type=FOLDER)
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in CircuitKind]),
    default=CircuitKind.PUBLIC.value,
    show_default=True,
    help="What proofs hide: nothing, inputs, or the answer too.",
)
@click.option("--output", "--out", type=FOLDER, required=True, help="Folder of the version.")
@click.option("--name", help="Name of the version; by default that of its folder.")
@click.option("--cache", type=FOLDER, default=".cache/proving", show_default=True)
@click.option("--ceremony", type=FILE, help="Reference string; else that for development only.")
@json_option
def circuits(
    folder: Path,
    kind: str,
    output: Path,
    name: str | None,
    cache: Path,
    ceremony: Path | None,
    as_json: bool,
) -> None:
    """Make the circuits of a compiled model, so that its answers can be PROVED: a version of its
    own.

    Hashed circuits prove sealed queries: the chain sees Poseidon of the input and a blind. Needs
    solc 0.8.20, as NESA_SOLC or on the search path.
    """
    from nesa.cli import proving

    chosen = CircuitKind(kind)
    made = proving.with_circuits(folder, chosen, output, name, cache.resolve(), ceremony)
    show({"folder": output, "circuits": chosen.value, **compiled_facts(made)}, as_json=as_json)


@click.command(epilog="Example: nesa model check models/breast-cancer-mlp")
@click.argument("folder", type=FOLDER)
@json_option
def check(folder: Path, as_json: bool) -> None:
    """Check every digest in FOLDER, and that this machine computes what the model says."""
    from nesa.models.cut import require_short_boundaries
    from nesa.models.folder import load
    from nesa.models.verify import check_runs

    compiled = load(folder)
    require_short_boundaries(compiled.table)
    check_runs(compiled)
    show({"intact": True, **compiled_facts(compiled)}, as_json=as_json)


def _layer_facts(layer: LayerReport) -> dict[str, object]:
    return {
        "layer": layer.name,
        "dtype": layer.edge.dtype.name.lower(),
        "range": [layer.edge.low, layer.edge.high],
        "step": layer.step,
        "error": layer.error if math.isfinite(layer.error) else None,
        "worst_sum": layer.worst_sum,
        "provable": layer.obstacle or True,
    }


def _layer_table(layers: Sequence[LayerReport]) -> Table:
    """One line for each layer; errors are parts of the size of what the float model computes."""
    table = Table("layer", "type", "range", "step", "error", "worst sum", "provable")
    for layer in layers:
        edge = layer.edge
        table.add_row(
            safe(layer.name),
            edge.dtype.name.lower(),
            f"{edge.low} to {edge.high}",
            f"{layer.step:.3g}",
            f"{layer.error:.2%}" if math.isfinite(layer.error) else "-",
            f"{layer.worst_sum:,}",
            layer.obstacle or "yes",
        )
    return table
