"""Puts a SeatAttestations contract beside a deployment: an attestor's word on seats.

ape run deploy_attestations --network http://127.0.0.1:8545 --account attestor \
    --deployment deployments/31337.json

docs/attested-seats.md tells the whole way.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from ape import project
from ape.cli import ConnectedProviderCommand, account_option

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # ape runs this file by its path

from nesa.chain.deployment import Deployment  # noqa: E402
from nesa.protocol.errors import NesaError  # noqa: E402
from nesa.protocol.ids import Address  # noqa: E402
from scripts.deployment.compiling import compile_if_changed  # noqa: E402
from scripts.deployment.options import AddressType  # noqa: E402
from scripts.deployment.unlocking import unlock  # noqa: E402

EPILOG = "Example: ape run deploy_attestations --account attestor --deployment deployments/1.json"


@click.command(cls=ConnectedProviderCommand, epilog=EPILOG)
@account_option()
@click.option(
    "--deployment",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File of the deployment whose operators are attested.",
)
@click.option("--attestor", type=AddressType(), help="Who checks quotes; by default the account.")
def cli(account: Any, provider: Any, deployment: Path, attestor: Address | None) -> None:
    """Deploy SeatAttestations for the stake vault of a deployment; the attestor stays for good.

    Versions name it with `nesa model register --admission`, clients with `nesa query --attested`.
    The account's password comes from where `ape run deploy` has it from.
    """
    try:
        read = Deployment.read(deployment)
        if read.chain_id != provider.chain_id:
            raise click.ClickException(f"{deployment} is of chain {read.chain_id}, not of this one")
        unlock(account)
        compile_if_changed()
    except NesaError as error:
        raise click.ClickException(str(error)) from error
    arguments = (read.vault, attestor or account.address)
    contract = account.deploy(project.SeatAttestations, *arguments, publish=False)
    click.echo(f"SeatAttestations is at {contract.address}, attestor {arguments[1]}")
