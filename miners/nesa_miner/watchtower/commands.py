"""The commands `nesa-miner watchtower ...`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from nesa.chain.keystore import read_password
from nesa_miner.keys import PASSWORD_VARIABLE
from nesa_miner.log_format import configure_logging
from nesa_miner.options import json_option
from nesa_miner.output import show

WATCH_PORT: Final = 8711

tower_option = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("."),
    envvar="NESA_WATCHTOWER_DIR",
    help="The watchtower's folder; by default the current one, or $NESA_WATCHTOWER_DIR.",
)


@click.group()
def watchtower() -> None:
    """Run answered queries again, and challenge wrong answers for a reward."""


@watchtower.command(
    "init",
    epilog="Example: NESA_PASSWORD_FILE=password nesa-miner watchtower init --dir tower --network "
    "network.json --store https://models.example.org",
)
@click.option("--dir", "folder", type=click.Path(path_type=Path), required=True, help="Made here.")
@click.option("--network", type=click.Path(path_type=Path), help="network.json of a devnet.")
@click.option("--deployment", type=click.Path(path_type=Path), help="deployments/<chain id>.json.")
@click.option("--rpc-url", help="Node to follow the chain with.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=WATCH_PORT,
    show_default=True,
    help="Port of health and metrics.",
)
@click.option("--store", "stores", multiple=True, help="Store of model files; may be repeated.")
@click.option(
    "--fault-proofs",
    is_flag=True,
    help="Challenge by a proof, without a bond, where a shard can be proved; needs memory.",
)
@click.option("--light-keys", is_flag=True, help="Keys that open fast; for local chains only.")
@json_option
def watchtower_init(
    folder: Path,
    network: Path | None,
    deployment: Path | None,
    rpc_url: str | None,
    port: int,
    stores: tuple[str, ...],
    fault_proofs: bool,
    light_keys: bool,
    as_json: bool,
) -> None:
    """Make a watchtower: an encrypted key and watchtower.json. Nothing is overwritten.

    It needs no stake: send its account NES for bonds and coin for gas.
    """
    from nesa_miner.founding import find_place
    from nesa_miner.watchtower.founding import Wish, found_watchtower, next_steps

    password = read_password(PASSWORD_VARIABLE)
    place = find_place(deployment, network, rpc_url)
    wish = Wish(port, stores, fault_proofs)
    made = found_watchtower(folder, place, wish, password, light_keys=light_keys)
    view_key = f"0x{made.view_key.hex()}"
    show(
        {"folder": folder.absolute(), "account": made.account, "view_key": view_key},
        as_json=as_json,
    )
    if not as_json:
        click.echo(next_steps(folder, place, made.account))


@watchtower.command(
    "run",
    epilog="Example: NESA_PASSWORD_FILE=password nesa-miner watchtower run --dir tower --share 0.2",
)
@tower_option
@click.option(
    "--share", type=click.FloatRange(0, 1), help="Part of all answers to run again.  [1.0]"
)
@click.option(
    "--max-bonds", type=click.FloatRange(0), help="NES that may be in bonds at once.  [1000]"
)
@json_option
def watchtower_run(
    folder: Path, share: float | None, max_bonds: float | None, as_json: bool
) -> None:
    """Watch until SIGTERM or Ctrl-C; a challenge under way goes on after the next start."""
    from nesa.chain.keystore import load_keystore
    from nesa.privacy.keys import load_key
    from nesa_miner.watchtower import daemon
    from nesa_miner.watchtower.config import read_settings

    settings = read_settings(folder)
    given = {"share": share, "max_bonds": max_bonds}
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = settings.model_copy(update=chosen)
    configure_logging(as_json=as_json or None)
    password = read_password(PASSWORD_VARIABLE)
    account = load_keystore(folder / settings.keystore, password)
    view_key = load_key(folder / settings.view_key, password)
    asyncio.run(daemon.run(folder, settings, account, view_key))


@watchtower.command("status", epilog="Example: nesa-miner watchtower status --dir tower")
@tower_option
@json_option
def watchtower_status(folder: Path, as_json: bool) -> None:
    """Say what was checked, what is challenged, and what the account has; needs no password.

    With --json sums are units, 1000000000 to the NES.
    """
    from nesa_miner.watchtower.config import read_settings
    from nesa_miner.watchtower.status import in_words, read_status

    found = asyncio.run(read_status(folder, read_settings(folder)))
    show(found if as_json else in_words(found), as_json=as_json)


@watchtower.command(
    "withdraw",
    epilog="Example: NESA_PASSWORD_FILE=password nesa-miner watchtower withdraw 500 --dir tower "
    "--to 0x5f1c…9a",
)
@click.argument("amount", required=False)
@click.option("--to", "receiver", help="Account that AMOUNT NES go to.  [they stay]")
@tower_option
@json_option
def watchtower_withdraw(
    amount: str | None, receiver: str | None, folder: Path, as_json: bool
) -> None:
    """Collect what the court and the vault owe, and send AMOUNT NES on, by default all.

    A running watchtower collects by itself; stop it before you send NES away. Bonds that are out
    come back when their challenges end. With --json sums are units, 1000000000 to the NES.
    """
    from nesa.chain.keystore import load_keystore
    from nesa_miner.watchtower.config import read_settings
    from nesa_miner.watchtower.withdrawing import in_words, read_payment, withdraw

    settings = read_settings(folder)
    payment = read_payment(receiver, amount)
    account = load_keystore(folder / settings.keystore, read_password(PASSWORD_VARIABLE))
    paid = asyncio.run(withdraw(folder, settings, account, payment))
    show(asdict(paid) if as_json else in_words(paid), as_json=as_json)
