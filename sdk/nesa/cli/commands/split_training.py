"""`nesa privacy serve-split` and `nesa privacy train-split`"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table

from nesa.chain.keystore import read_password_file
from nesa.cli.commands.balance import read_account
from nesa.cli.interruption import run_until_told
from nesa.cli.output import console, json_option, safe, show
from nesa.cli.quantities import Numbers
from nesa.cli.session import Target, connected, network_options
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Address

if TYPE_CHECKING:
    from nesa.client.client import Client
    from nesa.privacy.battery.findings import Finding

DEFAULT_PORT: Final = 8712
FILE: Final = click.Path(path_type=Path, dir_okay=False)
RATE: Final = click.FloatRange(0, 1, min_open=True)
DEVIATIONS: Final = click.FloatRange(0, 100)


@click.command(
    "serve-split",
    epilog="Example: nesa privacy serve-split --keystore miner/keys/signer.json "
    "--encryption-keystore miner/keys/encryption.json --password-file password --allow 0x1f9d…",
)
@click.option(
    "--encryption-keystore",
    type=FILE,
    required=True,
    help="The operator's encryption key, under the same password as --keystore, its signer's.",
)
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    required=True,
    metavar="ACCOUNT",
    help="Who may train here. May be repeated.",
)
@click.option(
    "--widths",
    type=Numbers("widths"),
    default="64,64,32",
    show_default=True,
    help="Of the dense layers that are trained here, the input first.",
)
@click.option("--learning-rate", type=RATE, default=0.01, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True)
@network_options
@json_option
def serve_split(
    target: Target,
    encryption_keystore: Path,
    allowed: tuple[str, ...],
    widths: tuple[int, ...],
    learning_rate: float,
    host: str,
    port: int,
    as_json: bool,
) -> None:
    """Train the middle layers of other people's models, until Ctrl-C; needs torch.

    Clients of `nesa privacy train-split` send activations and gradients, never rows or labels,
    sealed to the encryption key of your operator; what they get is signed by its signer. Nobody
    pays for it: let in whom you would do that for.
    """
    from nesa.cli import training
    from nesa.privacy.keys import load_key
    from nesa.privacy.split.training.layers import Learning
    from nesa.privacy.split.training.peer import TrainingPeer

    if target.keystore is None or target.password_file is None:
        raise InvalidInput(
            "a peer signs what it answers: give the keystore of your operator's signer with "
            "--keystore, and --password-file"
        )
    peer = TrainingPeer(widths, Learning(learning_rate), time.monotonic)
    clients = frozenset(map(read_account, allowed))
    encryption = load_key(encryption_keystore, read_password_file(target.password_file))

    def told(url: str, operator: Address) -> None:
        facts = {"url": url, "operator": operator, "widths": list(widths)}
        show(facts, as_json=as_json)

    async def serve() -> None:
        async with target.client() as client:
            await training.serve(client, peer, encryption, clients, (host, port), told)

    run_until_told(serve())


@click.command(
    "train-split",
    epilog="Example: nesa privacy train-split http://127.0.0.1:8712 data.npz "
    "--operator 0x1f9d… --output model.onnx",
)
@click.argument("url")
@click.argument("data", type=FILE)
@click.option(
    "--operator",
    required=True,
    metavar="ACCOUNT",
    help="Registered operator of the peer, whose keys on chain are used.",
)
@click.option("--output", type=FILE, required=True, help="ONNX file of the whole trained model.")
@click.option("--epochs", type=click.IntRange(1, 100_000), default=30, show_default=True)
@click.option("--batch", type=click.IntRange(2, 4096), default=32, show_default=True)
@click.option("--learning-rate", type=RATE, default=0.01, show_default=True)
@click.option(
    "--noise",
    type=DEVIATIONS,
    default=0.0,
    show_default=True,
    help="Normal noise on activations that leave, in their standard deviations.",
)
@click.option(
    "--gradient-noise", type=DEVIATIONS, default=0.0, show_default=True, help="And on gradients."
)
@click.option("--seed", type=click.IntRange(0, 2**62), help="For tests: without it all is secret.")
@click.option("--audit", is_flag=True, help="Attack what left, and print what is recovered.")
@network_options
@json_option
def train_split(
    target: Target,
    url: str,
    data: Path,
    operator: str,
    output: Path,
    epochs: int,
    batch: int,
    learning_rate: float,
    noise: float,
    gradient_noise: float,
    seed: int | None,
    audit: bool,
    as_json: bool,
) -> None:
    """Train a classifier with the peer at URL, which gets no row and no label; needs torch.

    DATA is an npz file with `train` and `test` rows in the model's units, and whole numbers
    `train_labels` and `test_labels`. The first and the last layer are trained here, those between
    by the peer, which hands them over at the end. The model is for `nesa model compile`.

    All of it travels sealed to the keys that the peer's operator has on chain, and signed: by you
    with --keystore, or with the network's own client key. The peer lets your account in.
    """
    from nesa.cli import training
    from nesa.privacy.split.training.client import Noise, Schedule
    from nesa.privacy.split.training.layers import Learning

    if output.exists():
        raise InvalidInput(f"{output} is there already; name another file")
    if not output.parent.is_dir():
        raise InvalidInput(f"there is no folder {output.parent}; make it, or name another file")
    rows = training.read_data(data)
    schedule = Schedule(epochs, batch, Learning(learning_rate), seed, seed)
    blur = Noise(noise, gradient_noise)
    named = read_account(operator)

    async def train(client: Client) -> training.Trained:
        async with client.training_peer(named, url) as post:
            return await training.train_with(post, rows, schedule, blur, seed)

    made = connected(target, train)
    training.write_model(made.model, rows.train.features.shape[1], output)
    findings = made.recorder.findings(rows.train) if audit else ()
    facts: dict[str, Any] = {
        "model": output,
        "accuracy": made.accuracy,
        "test_rows": len(rows.test.labels),
        "sent_bytes": made.recorder.sent_bytes,
        "seconds": round(made.seconds, 1),
    }
    if as_json:
        shown = {"recovered": [_document(one) for one in findings]} if audit else {}
        show(facts | shown, as_json=True)
        return
    show(facts, as_json=False)
    if audit:
        console().print(_table(findings))


def _document(found: Finding) -> dict[str, Any]:
    return {
        "attack": found.attack.name,
        "of": found.measure.value,
        "recovery": found.recovery,
        "baseline": found.baseline,
        "slack": found.slack,
        "tried": found.tried,
    }


def _table(findings: tuple[Finding, ...]) -> Table:
    table = Table("attack", "recovered", "guessing", "of", "how", box=None)
    for found in findings:
        attack = f"{found.attack.name} {found.attack.value}"
        figures = f"{found.recovery:.1%}", f"{found.baseline:.1%}"
        table.add_row(*map(safe, (attack, *figures, found.measure.value, found.tried)))
    return table
