"""`nesa model cut|split|plan`: where a model is taken apart, and who gets which part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from nesa.cli.commands.model.arguments import FILE, FOLDER
from nesa.cli.commands.model.facts import compiled_facts
from nesa.cli.output import console, json_option, safe, show
from nesa.cli.quantities import Nes, Numbers, open_dimensions
from nesa.cli.text import printable
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Amount

if TYPE_CHECKING:
    from nesa.cli.planning import Section
    from nesa.models.graph import Table as Rows
    from nesa.models.placement.rebalancing import Rebalanced
    from nesa.privacy.split.places import Place


@click.command(epilog="Example: nesa model cut net.onnx --shards 3 --out net-3 --check")
@click.argument("model", type=click.Path(path_type=Path, exists=True))
@click.option("--shards", type=click.IntRange(1, 8), help="So many, where it is cheapest.")
@click.option(
    "--at", "at", type=Numbers("places"), help="Or in front of these operators: 3,7 (see plan)."
)
@click.option("--output", "--out", type=FOLDER, required=True, help="Folder of the shards.")
@click.option("--dim", "dims", multiple=True, help="NAME=SIZE of an open dimension, 1 without.")
@click.option("--check", is_flag=True, help="Run the ONNX file whole and cut, compare all bytes.")
@json_option
def cut(
    model: Path,
    shards: int | None,
    at: tuple[int, ...] | None,
    output: Path,
    dims: tuple[str, ...],
    check: bool,
    as_json: bool,
) -> None:
    """Cut a model into shards: any ONNX file, or the folder of a compiled model.

    The weights of an ONNX file are never loaded: they are copied, each shard's own, from where
    they lie. A compiled model is cut into another number of shards; its circuits are gone.
    """
    if (shards is None) == (at is None):
        raise InvalidInput("say either how many --shards or --at which places")
    count = len(at or ()) + 1 if shards is None else shards
    if model.is_dir():
        if dims or check:
            raise InvalidInput("--dim and --check are for ONNX files; see `nesa model check`")
        show({"folder": output, **_recut(model, count, at, output)}, as_json=as_json)
        return
    from nesa.cli import cutting

    sizes = open_dimensions(dims)
    report = cutting.cut_file(model, count, sizes, output, at)
    if check:
        cutting.check_cut(report, sizes, output)
    facts = report.facts(output) | ({"same_bytes": True} if check else {})
    if as_json:
        show({**facts, "cuts": report.cuts, "shards": report.shards()}, as_json=True)
        return
    show(facts, as_json=False)
    console().print(_shard_table(report.shards()))


@click.command(
    epilog="Example: nesa model split models/digits-cnn --first 2 --end 4 --output middle"
)
@click.argument("folder", type=FOLDER)
@click.option("--first", type=int, help="First row of the network's part.")
@click.option("--end", type=int, help="First row behind it.")
@click.option("--shards", type=click.IntRange(1, 8), default=1, show_default=True)
@click.option("--output", type=FOLDER, help="Folder of the network's part.")
@json_option
def split(
    folder: Path,
    first: int | None,
    end: int | None,
    shards: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Split a compiled model: clients keep its first and last rows, the network gets the middle.

    Without --end it lists where less crosses than one row earlier, and how much: a row is a --first
    where something leaves you, an --end where something comes back. What follows from the input
    alone, such as where the padding of a text begins, clients compute and send as well.

    The middle is registered like any model; clients ask it with `Split`. Whoever knows
    the first rows can read much of the input off what they give: see docs/privacy.md.
    """
    from nesa.cli import splitting

    if end is None and output is None:
        _show_places(*splitting.places_of(folder, first), as_json)
        return
    if first is None or end is None or output is None:
        raise InvalidInput("say --first, --end and --output; without them the places are listed")
    show(splitting.split_folder(folder, (first, end), shards, output), as_json=as_json)


@click.command(
    epilog="Example: nesa model plan models/digits-cnn --miners swarm.json --objective throughput"
)
@click.argument("model", type=click.Path(path_type=Path, exists=True))
@click.option("--miners", type=FILE, help="JSON file of miners and links (docs/placement.md).")
@click.option(
    "--objective",
    type=click.Choice(["latency", "throughput"]),
    default="latency",
    show_default=True,
)
@click.option("--shards", type=click.IntRange(1, 8), help="So many; by default as many as is best.")
@click.option("--replicas", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option("--spares", type=click.IntRange(0, 64), default=0, show_default=True)
@click.option("--dim", "dims", multiple=True, help="NAME=SIZE of an open dimension, 1 without.")
@click.option(
    "--observed",
    multiple=True,
    metavar="URL|FILE",
    help="Times that a running miner saw; whoever overstated its capacity gets no place.",
)
@click.option(
    "--from",
    "earlier",
    type=FILE,
    help="What `plan --json` printed before: the fewest moves of seats from there on its cuts.",
)
@click.option(
    "--gap",
    type=click.FloatRange(0, 100),
    default=0.1,
    show_default=True,
    help="With --from: so far above the best is good enough.",
)
@click.option("--prove", is_flag=True, help="Find cuts that can be proved, and what proofs take.")
@click.option("--proof-price", type=Nes(), default="0.5", show_default=True, help="NES a proof.")
@json_option
def plan(
    model: Path,
    miners: Path | None,
    objective: str,
    shards: int | None,
    replicas: int,
    spares: int,
    dims: tuple[str, ...],
    observed: tuple[str, ...],
    earlier: Path | None,
    gap: float,
    prove: bool,
    proof_price: Amount,
    as_json: bool,
) -> None:
    """Plan where to cut MODEL, who computes which shard, and how far from the best that is.

    MODEL is an ONNX file or the folder of a compiled model. Times are predicted from what the
    miners measured (`nesa-miner capacity`).
    """
    from nesa.cli import planning
    from nesa.models.placement.plan import Wish
    from nesa.models.placement.stages import Objective

    if miners is None and (observed or earlier or not prove):
        raise InvalidInput(planning.ADVICE)
    sections = list[planning.Section]()
    if miners is not None:
        wish = Wish(Objective(objective), shards, replicas, spares)
        swarm, left_out = planning.believed(miners, model, observed)
        if earlier is not None:
            _show_moves(*planning.moved(model, dims, earlier, swarm, wish, gap), as_json)
            return
        sections.append(planning.placed(model, dims, swarm, wish, left_out))
    if prove:
        sections.append(planning.proved(model, shards, proof_price))
    _show_sections(sections, as_json)


def _show_places(table: Rows, found: Sequence[Place], as_json: bool) -> None:
    from nesa.cli import splitting

    if as_json:
        show({"places": [splitting.place_facts(table, place) for place in found]}, as_json=True)
        return
    console().print(splitting.place_lines(table, found))


def _recut(
    folder: Path, shards: int, places: tuple[int, ...] | None, output: Path
) -> dict[str, Any]:
    from nesa.cli import cutting
    from nesa.cli.compiling import recut
    from nesa.models.folder import load, save

    whole = load(folder)
    compiled = recut(whole, shards) if places is None else cutting.recut_at(whole, places)
    save(compiled, output)
    return compiled_facts(compiled)


def _show_sections(sections: Sequence[Section], as_json: bool) -> None:
    if as_json:
        entries = chain.from_iterable(section.document.items() for section in sections)
        show(dict(entries), as_json=True)
        return
    for section in sections:
        show(section.words, as_json=False)
        console().print(section.lines)
    for line in chain.from_iterable(section.closing for section in sections):
        click.echo(f"\n{printable(line)}")  # not wrapped: it is there to be copied


def _show_moves(made: Rebalanced, cuts: Sequence[int], as_json: bool) -> None:
    from nesa.cli import planning

    if as_json:
        show(planning.rebalanced_facts(made, cuts), as_json=True)
        return
    show(planning.rebalanced_words(made), as_json=False)
    for number, move in enumerate(made.moves, 1):
        click.echo(f"{number}. {planning.move_words(move)}")


def _shard_table(shards: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("shard", "nodes", "weight bytes", "bytes in front", "reads", "makes", box=None)
    for number, shard in enumerate(shards):
        counts = (number, shard["nodes"], shard["weight_bytes"], shard["boundary_bytes"])
        names = (", ".join(shard["inputs"]), ", ".join(shard["outputs"]))
        table.add_row(*map(str, counts), *map(safe, names))
    return table
