"""Puts all contracts on a chain, bottom up, and writes `deployments/<chain id>.json`.

ape run deploy --network http://127.0.0.1:8545 --account deployer
ape run deploy --network ethereum:sepolia:https://… --account deployer --treasury 0x… \
    --reviewer-pool 0x… --genesis-holder 0x… --owner 0x…

docs/deploying.md tells the whole way; `--help` tells where the account's password comes from.
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

from nesa.protocol.errors import NesaError, Unavailable  # noqa: E402
from nesa.protocol.ids import Address, BlockNumber  # noqa: E402
from scripts.deployment.compiling import compile_if_changed  # noqa: E402
from scripts.deployment.options import AddressType, free_path  # noqa: E402
from scripts.deployment.plan import (  # noqa: E402
    NAMINGS,
    STEPS,
    Accounts,
    deployment,
    interrupted,
)
from scripts.deployment.profiles import PROFILES, Profile, choose_profile  # noqa: E402
from scripts.deployment.unlocking import unlock  # noqa: E402

ADDRESS = AddressType()
EPILOG = "Example: ape run deploy --network ethereum:sepolia:https://… --account deployer"


@click.command(cls=ConnectedProviderCommand, epilog=EPILOG)
@account_option()
@click.option("--profile", "profile_name", type=click.Choice(sorted(PROFILES)), default=None)
@click.option("--treasury", type=ADDRESS, help="Who is credited the treasury's shares.")
@click.option("--reviewer-pool", type=ADDRESS, help="Who is credited the reviewers' shares.")
@click.option("--genesis-holder", type=ADDRESS, help="Who receives the genesis supply of NES.")
@click.option("--owner", type=ADDRESS, help="Who is offered the parameters and given the token.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "deployments",
    help="Folder of deployment files.",
)
@click.option("--replace", is_flag=True, help="Replace the chain's older deployment file.")
def cli(
    account: Any,
    provider: Any,
    profile_name: str | None,
    treasury: Address | None,
    reviewer_pool: Address | None,
    genesis_holder: Address | None,
    owner: Address | None,
    output: Path,
    replace: bool,
) -> None:
    """Deploy all contracts and write where they are to OUTPUT/<chain id>.json.

    The deployer stands in for every address that is not given. The account is one of ape's
    (`ape accounts list`); its password is read from the file that NESA_DEPLOYER_PASSWORD_FILE
    names, or from NESA_DEPLOYER_PASSWORD, else ape asks for it.
    """
    deployer = Address(account.address)
    accounts = Accounts(
        deployer=deployer,
        genesis_holder=genesis_holder or deployer,
        treasury=treasury or deployer,
        reviewer_pool=reviewer_pool or deployer,
    )
    try:
        profile = choose_profile(provider.chain_id, profile_name)
        path = free_path(output, provider.chain_id, replace=replace)
        unlock(account)
        compile_if_changed()
        block = BlockNumber(provider.get_block("latest").number + 1)
        deployed = _deploy_all(account, profile, accounts)
        deployment(provider.chain_id, block, deployed).write(path)
        click.echo(f"deployed with profile {profile.name}; the addresses are in {path}")
        if owner is not None:
            _hand_over(account, deployed, owner)
    except NesaError as error:
        raise click.ClickException(str(error)) from error


def _deploy_all(account: Any, profile: Profile, accounts: Accounts) -> dict[str, Address]:
    deployed: dict[str, Address] = {}
    for step in STEPS:
        arguments = step.arguments(profile, accounts, deployed)
        try:
            contract = account.deploy(getattr(project, step.contract), *arguments, publish=False)
        except Exception as error:  # ape's own, the node's, the keystore's
            raise Unavailable(interrupted(step, deployed, error)) from error
        deployed[step.name] = Address(contract.address)
        click.echo(f"{step.contract} is at {contract.address}")
    for naming in NAMINGS:
        named = getattr(project, naming.contract).at(deployed[naming.name])
        try:
            getattr(named, naming.function)(deployed[naming.told], sender=account)
        except Exception as error:  # as above
            raise Unavailable(interrupted(naming, deployed, error)) from error
        click.echo(f"{naming.contract} was told of its {naming.told}")
    return deployed


def _hand_over(account: Any, deployed: dict[str, Address], owner: Address) -> None:
    """Offer parameters and emitter, whose new owner must accept, and give the token away."""
    owned_contracts = {
        "parameters": "ProtocolParameters",
        "reward_emitter": "RewardEmitter",
        "token": "NesToken",
    }
    for name, contract in owned_contracts.items():
        owned = getattr(project, contract).at(deployed[name])
        try:
            owned.transfer_ownership(owner, sender=account)
        except Exception as error:  # as above
            raise Unavailable(
                f"all contracts are deployed, but {account.address} still owns {contract} at "
                f"{owned.address}: {error}; send its transfer_ownership({owner}) yourself"
            ) from error
        click.echo(f"{contract} was told of its new owner {owner}")
