"""The command `nesa-oracle`: make an oracle, look it over, seat it, run it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import structlog
from eth_account.signers.local import LocalAccount

from nesa.chain.deployment import Deployment, Network, deployment_path
from nesa.chain.keystore import SCRYPT_COST, read_password
from nesa.chain.leaving import Left, Outcome, in_words
from nesa.chain.owner import Owner, as_owner, read_nes
from nesa.models.proving.reference_string import LOCAL_CHAIN_IDS
from nesa.protocol.errors import InvalidConfiguration, NesaError, Rejected
from nesa.protocol.ids import ONE_NES, Address
from nesa_oracle import daemon
from nesa_oracle.config import OracleSettings, read_settings, write_settings
from nesa_oracle.doctor import examine
from nesa_oracle.keys import (
    PASSWORD_VARIABLE,
    PublicKeys,
    create_keys,
    encryption_key,
    open_owner,
    open_signer,
)
from nesa_oracle.registering import Registration
from nesa_oracle.status import as_daemon

FOLDER_VARIABLE: Final = "NESA_ORACLE_DIR"
LIGHT_COST: Final = 2**12
FAULT: Final = 70

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")


def _folder_option(command: Command) -> Command:
    option = click.option(
        "--dir",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(),
        envvar=FOLDER_VARIABLE,
        help=f"The oracle's folder; by default the current one, or ${FOLDER_VARIABLE}.",
    )
    return option(command)


def _json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nesa")
def cli() -> None:
    """An oracle of the Nesa network: gathers evidence and reports answers to the chain.

    Keys are unlocked with NESA_PASSWORD_FILE or NESA_PASSWORD. Settings can be overridden with
    NESA_ORACLE_<NAME>.
    """


@cli.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Made here.",
)
@click.option(
    "--network",
    type=click.Path(path_type=Path, dir_okay=False),
    help="network.json of a devnet; instead of --rpc-url and --deployment.",
)
@click.option("--rpc-url", help="JSON-RPC endpoint of a node.")
@click.option(
    "--deployment",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Addresses of the contracts: deployments/<chain id>.json.",
)
@click.option("--port", type=int, default=9410, show_default=True, help="For health and metrics.")
@click.option("--endpoint", help="URL to state on chain; http://127.0.0.1:PORT when left out.")
@click.option("--light-keys", is_flag=True, help="Keys that open fast; for local chains only.")
@_json_option
def init(
    folder: Path,
    network: Path | None,
    rpc_url: str | None,
    deployment: Path | None,
    port: int,
    endpoint: str | None,
    light_keys: bool,
    as_json: bool,
) -> None:
    """Make an oracle's folder: settings and keys.

    \b
    Example:
      NESA_PASSWORD_FILE=secret nesa-oracle init --dir my-oracle \\
        --rpc-url http://127.0.0.1:8545 --deployment deployments/31337.json
    """
    password = read_password(PASSWORD_VARIABLE)
    url, contracts = _chain(network, rpc_url, deployment)
    settings = OracleSettings(
        rpc_url=url, deployment=contracts, port=port, endpoint=endpoint or _local_url(port)
    )
    path = write_settings(folder, settings)
    cost = LIGHT_COST if light_keys else SCRYPT_COST
    keys = create_keys(settings.in_folder(folder), password, cost)
    _show({"settings": str(path), "owner": keys.owner, "signer": keys.signer}, as_json=as_json)
    if not as_json:
        click.echo(_next_steps(folder, keys, Deployment.read(contracts).chain_id))


@cli.command()
@_folder_option
@_json_option
def doctor(folder: Path, as_json: bool) -> None:
    """Check node, chain, keys, seat and funds; exit code 1 when something is wrong.

    \b
    Example:
      NESA_PASSWORD_FILE=secret nesa-oracle doctor --dir my-oracle
    """
    settings = read_settings(folder)
    findings = asyncio.run(examine(settings, _signer_if_any(settings)))
    if as_json:
        shown = [{"name": one.name, "ok": one.is_good, "text": one.text} for one in findings]
        click.echo(json.dumps({"findings": shown}, indent=2))
    else:
        for one in findings:
            click.echo(f"{'ok  ' if one.is_good else 'FAIL'}  {one.name}: {one.text}")
    if not all(one.is_good for one in findings):
        raise SystemExit(1)


@cli.command()
@_folder_option
@_json_option
def register(folder: Path, as_json: bool) -> None:
    """Make the owner an operator, deposit the stake of a seat, and take an oracle seat.

    The owner needs NES for the stake and native coin for gas. Steps that are done are skipped.

    \b
    Example:
      NESA_PASSWORD_FILE=secret nesa-oracle register --dir my-oracle
    """
    settings = read_settings(folder)
    _show(_register(settings), as_json=as_json)


@cli.command()
@_folder_option
@_json_option
def leave(folder: Path, as_json: bool) -> None:
    """Leave the oracle seat at the end of this epoch, and say how long its stake stays locked.

    \b
    Example:
      NESA_PASSWORD_FILE=secret nesa-oracle leave --dir my-oracle
    """

    async def work(owner: Owner) -> Left:
        registration = Registration(owner)
        return await registration.way_out().leave(await registration.seat())

    _show_exit(_as_owner(read_settings(folder), work), as_json=as_json)


@cli.command()
@click.argument("amount", required=False)
@_folder_option
@_json_option
def unstake(amount: str | None, folder: Path, as_json: bool) -> None:
    """Let AMOUNT NES of free stake thaw, by default all of it; `withdraw` pays it when it is due.

    Stake that thaws already starts its time again. With --json sums are units.

    \b
    Example:
      NESA_PASSWORD_FILE=secret nesa-oracle unstake 500 --dir my-oracle
    """
    wanted = None if amount is None else read_nes(amount)

    async def work(owner: Owner) -> Outcome:
        return await Registration(owner).way_out().unstake(wanted)

    _show_exit(_as_owner(read_settings(folder), work), as_json=as_json)


@cli.command()
@_folder_option
@_json_option
def withdraw(folder: Path, as_json: bool) -> None:
    """Release the seat and pay the stake to the owner, as far as they are due.

    Earnings are paid with `nesa withdraw OWNER`. With --json sums are units.

    \b
    Example:
      NESA_PASSWORD_FILE=secret nesa-oracle withdraw --dir my-oracle
    """

    async def work(owner: Owner) -> Outcome:
        return await Registration(owner).way_out().withdraw()

    _show_exit(_as_owner(read_settings(folder), work), as_json=as_json)


@cli.command()
@_folder_option
@click.option("--dry", is_flag=True, help="Gather and check, but send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Log JSON lines, as without a terminal.")
def run(folder: Path, dry: bool, as_json: bool) -> None:
    """Run the oracle until SIGTERM. Without keys it runs dry.

    \b
    Example:
      NESA_PASSWORD_FILE=secret nesa-oracle run --dir my-oracle
    """
    _log_to_stderr(as_json=as_json or not sys.stderr.isatty())
    settings = read_settings(folder)
    account = None if dry else _signer_if_any(settings)
    asyncio.run(daemon.run(settings, account))


@cli.command()
@_folder_option
@_json_option
def status(folder: Path, as_json: bool) -> None:
    """Ask the running oracle what it does, or without one read its journal.

    \b
    Example:
      nesa-oracle status --dir my-oracle --json
    """
    _show(dict(asyncio.run(as_daemon(read_settings(folder)).read_status())), as_json=as_json)


def main() -> None:
    """Run a command; errors become one sentence and an exit code."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except Exception as error:  # the outermost loop of the process
        sys.exit(_reported(error))


def _reported(error: BaseException) -> int:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if os.environ.get("NESA_TRACEBACK"):
        traceback.print_exception(error)
    if isinstance(error, Rejected):
        click.echo(f"Error: the chain refused: {error.reason}", err=True)
        return 1
    if isinstance(error, NesaError):
        click.echo(f"Error: {error}", err=True)
        return 1
    fault = f"{type(error).__name__}: {error}"
    click.echo(f"Error: a fault of nesa-oracle ({fault}); see it with NESA_TRACEBACK=1", err=True)
    return FAULT


def _chain(network: Path | None, rpc_url: str | None, deployment: Path | None) -> tuple[str, Path]:
    """URL of a node and the file with the contracts' addresses.

    A devnet's own deployment file lies beside its `network.json`.
    """
    if network is not None:
        found = Network.read(network)
        folder = network.resolve().parent / "deployments"
        return found.rpc_url, deployment_path(folder, found.chain_id)
    if rpc_url is None or deployment is None:
        raise InvalidConfiguration("state --rpc-url and --deployment, or the --network of a devnet")
    Deployment.read(deployment)
    return rpc_url, deployment.resolve()


def _next_steps(folder: Path, keys: PublicKeys, chain_id: int) -> str:
    local = chain_id in LOCAL_CHAIN_IDS
    how = "  (a devnet gives both: nesa devnet fund ADDRESS --dir DIR)\n" if local else ""
    return (
        f"Next: send NES for the stake and coin for gas to the owner {keys.owner},\n"
        f"and coin for gas to the signer {keys.signer}, then\n{how}"
        f"nesa-oracle register --dir {folder}"
    )


def _local_url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _signer_if_any(settings: OracleSettings) -> LocalAccount | None:
    if not settings.signer_keystore.exists():
        return None
    return open_signer(settings, read_password(PASSWORD_VARIABLE))


def _as_owner(
    settings: OracleSettings, work: Callable[[Owner], Coroutine[Any, Any, Result]]
) -> Result:
    """What `work` returns, run with the unlocked owner on the chain."""
    account = open_owner(settings, read_password(PASSWORD_VARIABLE))
    return as_owner((settings.rpc_url, settings.deployment), account, work, _progress)


def _register(settings: OracleSettings) -> dict[str, Any]:
    password = read_password(PASSWORD_VARIABLE)
    signer, encryption = open_signer(settings, password), encryption_key(settings, password)

    async def work(owner: Owner) -> dict[str, Any]:
        if owner.address == Address(signer.address):
            raise InvalidConfiguration("owner and signer must be different keys")
        registration = Registration(owner)
        await registration.register(signer, encryption, settings.endpoint)
        slot = await registration.slot()
        deposited = 0
        if slot is None:
            deposited = await registration.stake()
            slot = await registration.take_seat()
        nes = deposited / ONE_NES
        return {"operator": owner.address, "signer": signer.address, "deposited": nes, "slot": slot}

    return _as_owner(settings, work)


def _progress(line: str) -> None:
    click.echo(line, err=True)


def _show_exit(found: Left | Outcome, *, as_json: bool) -> None:
    _show(asdict(found) if as_json else dict(in_words(found)), as_json=as_json)


def _show(values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    for name, value in values.items():
        click.echo(f"{name}: {_line(value)}")


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {entry}" for name, entry in value.items())
    return "-" if value is None else str(value)


def _log_to_stderr(*, as_json: bool) -> None:
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
