"""`nesa devnet`"""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import Final

import click

from nesa.cli.commands.balance import read_account
from nesa.cli.interruption import run_until_told
from nesa.cli.output import console, json_option, show
from nesa.cli.session import DEFAULT_FOLDER
from nesa.client.payment import in_nes
from nesa.devnet.funding import WEI_A_COIN, Gift
from nesa.devnet.funding import fund as give
from nesa.devnet.network import (
    STAKE,
    Devnet,
    DevnetSettings,
    keep_running,
    prepare,
    running_devnet,
    take_down,
)
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import ONE_NES, Amount

COINS: Final = 100
"""Given when nobody says how many: gas for years of a development network."""

FOLDER = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_FOLDER,
    show_default=True,
    help="Folder of the network.",
)


@click.group(epilog="Example: nesa devnet up --miners 8 --oracles 2 --dir .devnet")
def devnet() -> None:
    """Run a whole network on this machine, for people to build against."""


@devnet.command(
    epilog="Example: nesa devnet up --miners 8 --oracles 2 --block-time 1 --dir .devnet"
)
@click.option("--miners", type=click.IntRange(8, 64), default=8, show_default=True)
@click.option("--oracles", type=click.IntRange(1, 8), default=2, show_default=True)
@click.option("--block-time", type=click.IntRange(1, 60), default=1, show_default=True)
@click.option(
    "--model",
    "models",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of a compiled model to serve as well; a shard of it takes four miners.",
)
@click.option(
    "--shared",
    "shared",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of a compiled model to serve for queries on shares.",
)
@FOLDER
@json_option
def up(
    miners: int,
    oracles: int,
    block_time: int,
    models: tuple[Path, ...],
    shared: tuple[Path, ...],
    folder: Path,
    as_json: bool,
) -> None:
    """Start the network and keep it running until Ctrl-C or `nesa devnet down --dir DIR`.

    A chain is never taken up again: in a folder that was used before a new one begins.

    Once it is ready, DIR/network.json says where everything is.
    """
    served = tuple(path.resolve() for path in models)
    on_shares = tuple(path.resolve() for path in shared)
    settings = DevnetSettings(folder, miners, oracles, block_time, models=served, shared=on_shares)
    run_until_told(_stay_up(settings, as_json=as_json))


@devnet.command(epilog="Example: nesa devnet down --dir .devnet")
@FOLDER
@json_option
def down(folder: Path, as_json: bool) -> None:
    """Stop the network that runs from DIR; exit 1 when none does."""
    if not take_down(folder):
        raise InvalidInput(
            f"no network runs from {folder}; name the folder of the one to stop with --dir"
        )
    if as_json:
        show({"stopped": True, "folder": folder}, as_json=True)
    else:
        click.echo(f"the network of {folder} is down")


@devnet.command(
    epilog="Example: nesa devnet fund 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --nes 2000 "
    "--dir .devnet"
)
@click.argument("account", metavar="ADDRESS")
@click.option("--nes", type=click.IntRange(0), default=STAKE // ONE_NES, show_default=True)
@click.option("--coin", type=click.IntRange(0), default=COINS, show_default=True)
@FOLDER
@json_option
def fund(account: str, nes: int, coin: int, folder: Path, as_json: bool) -> None:
    """Give ADDRESS NES and coin for gas on the network that runs from DIR.

    With --json NES are units, 1000000000 to the NES, and coins are wei.
    """
    gift = Gift(Amount(nes * ONE_NES), coin * WEI_A_COIN)
    held = asyncio.run(give(folder, read_account(account), gift))
    if as_json:
        show({"funded": held}, as_json=True)
        return
    coins = f"{held.wei / WEI_A_COIN:g}"
    show({"account": held.account, "NES": in_nes(held.nes), "coins": coins}, as_json=False)


async def _stay_up(settings: DevnetSettings, *, as_json: bool) -> None:
    screen = console()

    def progress(line: str) -> None:
        if not as_json:
            screen.print(f"[dim]{line} …[/]")

    await prepare(progress)
    async with running_devnet(settings, progress) as running:
        show(_document(running) if as_json else _words(running), as_json=as_json)
        await keep_running(running, progress)


def _document(running: Devnet) -> dict[str, object]:
    return {
        "network_file": running.layout.network,
        "network": running.network.model_dump(mode="json"),
        "miners": [operator.endpoint for operator in running.miners],
        "oracles": [operator.endpoint for operator in running.oracles],
        "logs": running.layout.logs,
    }


def _words(running: Devnet) -> dict[str, object]:
    return {
        "network file": running.layout.network,
        "chain": f"{running.network.rpc_url}, id {running.network.chain_id}",
        "models": ", ".join(model.name for model in running.network.models),
        "logs": running.layout.logs,
        "stop": f"Ctrl-C, or `{down_command(running.layout.root)}` from another shell",
    }


def down_command(folder: Path) -> str:
    """What stops the network of `folder` from anywhere, ready to be pasted into a shell."""
    return f"nesa devnet down --dir {shlex.quote(str(folder.resolve()))}"
