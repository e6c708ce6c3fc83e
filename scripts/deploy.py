"""Puts all contracts on a chain, bottom up, and writes `deployments/<chain id>.json`.

ape run deploy --network http://127.0.0.1:8545 --account deployer
ape run deploy --network ethereum:sepolia:https://… --account deployer --treasury 0x… \
    --reviewer-pool 0x… --genesis-holder 0x… --owner 0x…

The account is one of ape's (`ape accounts list`). Its password is read from the file that
NESA_DEPLOYER_PASSWORD_FILE names, or from NESA_DEPLOYER_PASSWORD, else ape asks for it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
from ape import project
from ape.cli import ConnectedProviderCommand, account_option
from ape_accounts import KeyfileAccount

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # ape runs this file by its path

from nesa.chain.deployment import deployment_path  # noqa: E402
from nesa.chain.keystore import read_password  # noqa: E402
from nesa.protocol.errors import NesaError  # noqa: E402
from nesa.protocol.ids import Address, BlockNumber  # noqa: E402
from scripts.compile_contracts import compile_if_changed  # noqa: E402
from scripts.deployment.plan import STEPS, Accounts, deployment  # noqa: E402
from scripts.deployment.profiles import PROFILES, Profile, choose_profile  # noqa: E402

PASSWORD = "NESA_DEPLOYER_PASSWORD"


@click.command(cls=ConnectedProviderCommand)
@account_option()
@click.option("--profile", "profile_name", type=click.Choice(sorted(PROFILES)), default=None)
@click.option("--treasury", default=None, help="Who is credited the treasury's shares.")
@click.option("--reviewer-pool", default=None, help="Who is credited the reviewers' shares.")
@click.option("--genesis-holder", default=None, help="Who receives the genesis supply of NES.")
@click.option("--owner", default=None, help="Who is offered the parameters and the token.")
@click.option("--output", default=str(ROOT / "deployments"), help="Folder of deployment files.")
def cli(
    account: Any,
    provider: Any,
    profile_name: str | None,
    treasury: str | None,
    reviewer_pool: str | None,
    genesis_holder: str | None,
    owner: str | None,
    output: str,
) -> None:
    """Deploy all contracts; the deployer stands in for every address that is not given."""
    try:
        profile = choose_profile(provider.chain_id, profile_name)
        _unlock(account)
    except NesaError as error:
        raise click.ClickException(str(error)) from error
    compile_if_changed()
    deployer = Address(account.address)
    accounts = Accounts(
        deployer=deployer,
        genesis_holder=Address(genesis_holder or deployer),
        treasury=Address(treasury or deployer),
        reviewer_pool=Address(reviewer_pool or deployer),
    )
    block = BlockNumber(provider.get_block("latest").number + 1)
    deployed = _deploy_all(account, profile, accounts)
    if owner is not None:
        _hand_over(account, deployed, Address(owner))
    path = deployment_path(Path(output), provider.chain_id)
    deployment(provider.chain_id, block, deployed).write(path)
    click.echo(f"deployed with profile {profile.name}; the addresses are in {path}")


def _unlock(account: Any) -> None:
    if isinstance(account, KeyfileAccount) and {PASSWORD, f"{PASSWORD}_FILE"} & os.environ.keys():
        account.set_autosign(True, passphrase=read_password(PASSWORD))


def _deploy_all(account: Any, profile: Profile, accounts: Accounts) -> dict[str, Address]:
    deployed: dict[str, Address] = {}
    for step in STEPS:
        arguments = step.arguments(profile, accounts, deployed)
        contract = account.deploy(getattr(project, step.contract), *arguments, publish=False)
        deployed[step.name] = Address(contract.address)
        click.echo(f"{step.contract} is at {contract.address}")
    return deployed


def _hand_over(account: Any, deployed: dict[str, Address], owner: Address) -> None:
    """Offer the parameters (the new owner must accept) and give the token's minter choice away."""
    parameters = project.ProtocolParameters.at(deployed["parameters"])
    parameters.transfer_ownership(owner, sender=account)
    project.NesToken.at(deployed["token"]).transfer_ownership(owner, sender=account)
