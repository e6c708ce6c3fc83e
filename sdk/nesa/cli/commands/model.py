"""`nesa model`"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table

from nesa.chain.admissions import AllowLists
from nesa.chain.contracts import ZERO_ADDRESS
from nesa.cli.commands.balance import read_account
from nesa.cli.commands.release_keys import SECRET, encryption_of, release_keys
from nesa.cli.output import console, json_option, plain, safe, show
from nesa.cli.quantities import Nes, Numbers, open_dimensions
from nesa.cli.risk import ASSUMED, risk_words, stake_words
from nesa.cli.session import Target, connected, network_options
from nesa.cli.text import printable
from nesa.client.cards import Model
from nesa.client.client import Client
from nesa.client.payment import in_nes
from nesa.client.ranges import representable
from nesa.client.registering import Terms
from nesa.models.card import AnyCard, ClassifierCard, TensorCard
from nesa.models.report import LayerReport
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.errors import InvalidInput, NesaError
from nesa.protocol.ids import Amount

if TYPE_CHECKING:
    from nesa.cli.planning import Section
    from nesa.models.graph import Table as Rows
    from nesa.models.placement.rebalancing import Rebalanced
    from nesa.privacy.split.places import Place

FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER: Final = click.Path(path_type=Path, file_okay=False)


@click.group(epilog="Example: nesa model compile net.onnx data.npz words.json --output models/net")
def model() -> None:
    """Compile float models, cut and check them, register them, look at registered ones."""


@model.command(
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
    facts = {"folder": output, **_facts(compiled)}
    if as_json:
        show({**facts, "layers": [_layer_facts(layer) for layer in layers]}, as_json=True)
        return
    show(facts, as_json=False)
    console().print(_layer_table(layers))


@model.command(epilog="Example: nesa model cut net.onnx --shards 3 --out net-3 --check")
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


@model.command(
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


def _show_places(table: Rows, found: Sequence[Place], as_json: bool) -> None:
    from nesa.cli import splitting

    if as_json:
        show({"places": [splitting.place_facts(table, place) for place in found]}, as_json=True)
        return
    console().print(splitting.place_lines(table, found))


@model.command(
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


@model.command(
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
    show({"folder": output, "circuits": chosen.value, **_facts(made)}, as_json=as_json)


@model.command(epilog="Example: nesa model check models/breast-cancer-mlp")
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
    show({"intact": True, **_facts(compiled)}, as_json=as_json)


@model.command(epilog="Example: nesa model share models/breast-cancer-mlp --output products")
@click.argument("folder", type=FOLDER)
@click.option("--output", type=FOLDER, required=True, help="Folder of the products' folders.")
@json_option
def share(folder: Path, output: Path, as_json: bool) -> None:
    """Write the products of a compiled model: what members compute in queries on shares.

    Each is a model of its own, one linear layer over digits of a share. Register them all with
    `nesa model register-products`; operators sit in the first. See docs/shared-queries.md.
    """
    from nesa.models.folder import load
    from nesa.privacy.shared.models import write_products
    from nesa.privacy.shared.plan import plan as plan_shares

    public = load(folder)
    found = plan_shares(public.table)
    paths = write_products(found, public, output)
    facts = {"folder": output, "model": public.name, "products": len(paths)}
    show({**facts, "rounds": len(found.rounds)}, as_json=as_json)


@model.command(
    "register-products",
    epilog="Example: nesa model register-products products --price 0.01 --store ./store",
)
@click.argument("folder", type=FOLDER)
@click.option("--price", type=Nes(), required=True, help="NES a product, member.")
@click.option("--royalty", type=click.IntRange(0, 2000), default=1000, help="Basis points.")
@click.option("--store", type=FOLDER, required=True, help="Folder that you serve to miners.")
@click.option("--base-url", help="Where the store answers; by default its path.")
@network_options
@json_option
def register_products(
    target: Target,
    folder: Path,
    price: Amount,
    royalty: int,
    store: Path,
    base_url: str | None,
    as_json: bool,
) -> None:
    """Register the products in FOLDER (`nesa model share`) and list them for sessions.

    The first version is the one that operators sit in and clients ask for.
    """
    from nesa.models.publish import publish
    from nesa.privacy.shared.models import written_products

    base = base_url or str(store.resolve())
    products = [
        (path, Terms(price, Amount(0), royalty, publish(path, store, base)))
        for path in written_products(folder)
    ]

    async def send(client: Client) -> list[str]:
        versions = await client.developer().register_products(products)
        return [f"0x{version.hex()}" for version in versions]

    versions = connected(target, send)
    show({"version": versions[0], "products": versions}, as_json=as_json)


@model.command(
    epilog="Example: nesa model register models/net --price 0.05 --store ./store "
    "--base-url https://models.example.org"
)
@click.argument("folder", type=FOLDER)
@click.option("--price", type=Nes(), required=True, help="NES a shard, replica.")
@click.option("--proof-price", type=Nes(), default=0.5, show_default=True)
@click.option("--royalty", type=click.IntRange(0, 2000), default=1000, help="Basis points.")
@click.option("--store", type=FOLDER, required=True, help="Folder that you serve to miners.")
@click.option("--base-url", help="Where the store answers; by default its path.")
@click.option("--allow-list", is_flag=True, help="Only operators of `nesa model allow` may sit.")
@click.option("--admission", help="Another contract that says who may sit in it.")
@click.option("--private", is_flag=True, help="Publish its weights encrypted; see docs.")
@click.option("--secret", type=SECRET, help="With --private: file of the secret, made if absent.")
@click.option("--release-url", help="With --private: where `release-keys` will answer operators.")
@network_options
@json_option
def register(
    target: Target,
    folder: Path,
    price: Amount,
    proof_price: Amount,
    royalty: int,
    store: Path,
    base_url: str | None,
    allow_list: bool,
    admission: str | None,
    private: bool,
    secret: Path | None,
    release_url: str | None,
    as_json: bool,
) -> None:
    """Register the compiled model in FOLDER: deploy its verifiers, show that they work.

    With --private the files of its shards are published encrypted, and only operators of
    `nesa model allow` (or those of --admission) get a key, one shard each, from
    `nesa model release-keys`. NESA_SECRET_PASSWORD_FILE names the file with the secret's password.
    """
    from nesa.models.publish import publish

    if allow_list and admission is not None:
        raise InvalidInput("give either --allow-list or --admission")
    if not private and (secret is not None or release_url is not None):
        raise InvalidInput("--secret and --release-url go with --private")
    encryption = encryption_of(secret, release_url) if private else None
    allow_list = allow_list or (private and admission is None)
    location = publish(folder, store, base_url or str(store.resolve()), encryption)
    named = ZERO_ADDRESS if admission is None else read_account(admission)

    async def send(client: Client) -> dict[str, str]:
        admitting = AllowLists.of(client.connection).address if allow_list else named
        terms = Terms(price, proof_price, royalty, location, admitting)
        developer = client.developer()
        version = await developer.register(folder, terms)
        stated = await developer.location_of(version)
        return {"version": f"0x{version.hex()}", "location": stated}

    registered = connected(target, send)
    if registered["location"] != location:
        warnings.warn(
            "the version was registered before and keeps its terms and its location for good; what "
            f"was written to {location} now is not where it points",
            stacklevel=1,
        )
    show(registered, as_json=as_json)


@model.command(epilog="Example: nesa model allow breast-cancer-mlp operators.txt")
@click.argument("name")
@click.argument("operators", type=FILE)
@network_options
@json_option
def allow(target: Target, name: str, operators: Path, as_json: bool) -> None:
    """Let the operators in a file sit in a version of yours, and no others; one account a line.

    The version was registered with --allow-list.
    """
    lines = (line.partition("#")[0].strip() for line in operators.read_text().splitlines())
    accounts = [read_account(line) for line in lines if line]

    async def send(client: Client) -> dict[str, Any]:
        found = await client.model(name)
        return {
            "version": f"0x{found.version_id.hex()}",
            "listed": len(set(accounts)),
            "admitted": await client.developer().allow(found.version_id, accounts),
        }

    show(connected(target, send), as_json=as_json)


model.add_command(release_keys)


@model.command(epilog="Example: nesa model retire 0x… --json")
@click.argument("name")
@network_options
@json_option
def retire(target: Target, name: str, as_json: bool) -> None:
    """Take a version of yours off offer for good; queries that are open go on."""

    async def send(client: Client) -> dict[str, Any]:
        found = await client.model(name)
        await client.developer().retire(found.version_id)
        return {"version": f"0x{found.version_id.hex()}", "retired": True}

    show(connected(target, send), as_json=as_json)


@model.command("list", epilog="Example: nesa model list --json")
@network_options
@json_option
def list_models(target: Target, as_json: bool) -> None:
    """List every registered version whose card can be read."""
    found = connected(target, lambda client: client.models())
    if as_json:
        show({"models": [_line(one) for one in found]}, as_json=True)
        return
    table = Table("name", "answers", "version", box=None)
    for one in found:
        table.add_row(safe(one.name), safe(_answers(one.card)), f"0x{one.version_id.hex()}")
    console().print(table)


@model.command("show", epilog="Example: nesa model show breast-cancer-mlp")
@click.argument("name")
@network_options
@json_option
def show_model(target: Target, name: str, as_json: bool) -> None:
    """Show one registered version: what it takes, what it costs, how good it is."""
    details = dict(connected(target, lambda client: _details(client, name)))
    if as_json:
        show(details, as_json=True)
        return
    sample = details.pop("sample")
    details["features"] = [f"{one['name']} [{one['unit']}]" for one in details["features"]]
    show(details, as_json=False)
    if sample is not None:
        # Outside of the table, which would wrap a line that is there to be copied.
        row = ",".join(f"{number:.12g}" for number in sample)
        click.echo(f"\nTo try it: nesa query {printable(name)} {row}")


async def _details(client: Client, name: str) -> Mapping[str, Any]:
    """What is known of a version, its features with the range that the model tells apart."""
    found = await client.model(name)
    registry = client.contracts.registry
    offer = await registry.offer(found.version_id, at="latest")
    card = found.card
    return {
        **_line(found),
        "title": card.title,
        "description": card.description,
        **_answer_facts(card),
        "inputs": card.input_edge.elements,
        "features": [
            {**feature.model_dump(), "low": low, "high": high}
            for feature in card.features
            for low, high in [representable(card, feature)]
        ],
        **_key_facts(card),
        "sample": await _sample(client, found),
        "shards": offer.shards,
        "price": f"{in_nes(offer.price)} a shard and replica",
        "proof_price": f"{in_nes(offer.proof_price)} a shard",
        "provable": offer.provable,
        "risk": await _risk(client, found),
        "stake": stake_words(await client.lost_by_a_lie()),
        "developer": await registry.developer_of(found.version_id, at="latest"),
        "admission": await registry.admission_of(found.version_id, at="latest") or "everybody",
    }


async def _risk(client: Client, found: Model) -> str:
    try:
        return risk_words(await client.draw_risk(found, corrupt=ASSUMED))
    except InvalidInput:
        return "too few seats for a committee"


def _key_facts(card: AnyCard) -> dict[str, Any]:
    """Whose key a model is under, if any."""
    mark = card.equivariance
    return {} if mark is None else {"key": f"{mark.key}, epoch {mark.epoch}"}


async def _sample(client: Client, found: Model) -> list[float] | None:
    if found.card.equivariance is not None:
        return None  # its rows are encoded
    try:
        return await client.sample(found)
    except NesaError:
        return None  # a model may be asked without its test rows


def _line(found: Model) -> dict[str, Any]:
    version = f"0x{found.version_id.hex()}"
    return {"name": found.name, "version": version, "location": found.location}


def _answers(card: AnyCard) -> str:
    """What a model answers with."""
    match card:
        case ClassifierCard():
            return " / ".join(card.labels)
        case TensorCard():
            return f"{card.task} of {card.output_edge.elements} numbers"


def _answer_facts(card: AnyCard) -> dict[str, Any]:
    """What a model answers with, and how good that was measured to be."""
    match card:
        case ClassifierCard(accuracy=accuracy) if card.equivariance is not None:
            compared = f"equal to the plain model's on {accuracy.test_rows} random inputs"
            return {"labels": list(card.labels), "accuracy": f"that of the plain model; {compared}"}
        case ClassifierCard(accuracy=accuracy):
            measured = f"{accuracy.integer_model:.4f} of {accuracy.test_rows} test rows"
            if accuracy.proved is not None:
                share, count = accuracy.proved, accuracy.proved_rows
                measured += f", {share:.4f} of {count} proved on a chain"
            return {"labels": list(card.labels), "accuracy": measured}
        case TensorCard(fidelity=fidelity):
            encoded = card.equivariance is not None
            compared, rows = ("plain", "random inputs") if encoded else ("float", "test rows")
            return {
                "answers": _answers(card),
                "tokenizer": None if card.tokens is None else card.tokens.tokenizer,
                "fidelity": f"cosine to the {compared} model {fidelity.mean_cosine:.4f}, at least "
                f"{fidelity.lowest_cosine:.4f}, on {fidelity.test_rows} {rows}",
            }


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


def _facts(compiled: Any) -> dict[str, Any]:
    card = compiled.card
    return {
        "name": compiled.name,
        "root": f"0x{compiled.root.hex()}",
        "shards": len(compiled.shards),
        "provable": all(any(shard.circuit_digest) for shard in compiled.shards),
        **_measured(card),
    }


def _measured(card: AnyCard) -> dict[str, Any]:
    match card:
        case ClassifierCard():
            return {"accuracies": plain(card.accuracy.model_dump())}
        case TensorCard():
            return {"fidelity": plain(card.fidelity.model_dump())}


def _recut(
    folder: Path, shards: int, places: tuple[int, ...] | None, output: Path
) -> dict[str, Any]:
    from nesa.cli import cutting
    from nesa.cli.compiling import recut
    from nesa.models.folder import load, save

    whole = load(folder)
    compiled = recut(whole, shards) if places is None else cutting.recut_at(whole, places)
    save(compiled, output)
    return _facts(compiled)


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
