"""Gives an operator another signer: the folder of a second miner of the same owner, then the chain.

Seats keep the signer that they were taken with. So the first miner runs on, until its seats are
released, and the second one takes new seats.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from nesa.chain.contracts import ZERO_ADDRESS, Contracts
from nesa.chain.deployment import Deployment
from nesa.chain.keystore import SCRYPT_COST, create_keystore
from nesa.chain.owner import Owner
from nesa.privacy.key_rotation import former_key_paths, renamed_former
from nesa.protocol.errors import InvalidConfiguration, InvalidInput
from nesa.protocol.ids import Address
from nesa_miner.config import CONFIG_FILE, MinerSettings, write_settings
from nesa_miner.founding import DEPLOYMENT_FILE, Listening, check_endpoint
from nesa_miner.identity import Identity
from nesa_miner.keys import all_or_none, refuse_existing
from nesa_miner.registering import consent_of


@dataclass(frozen=True, slots=True)
class Rotated:
    """An operator's signers before and after; the same where it was rotated already."""

    operator: Address
    before: Address
    signer: Address


def found_successor(
    folder: Path,
    settings: MinerSettings,
    successor: Path,
    listening: Listening,
    password: str,
    cost: int = SCRYPT_COST,
) -> None:
    """Make a miner in `successor` with the owner and encryption key of the one in `folder`, its
    settings, and a new signer; a miner that is there already is left alone.

    Raises:
        InvalidConfiguration: a key cannot be read or written, or lies there without a miner. No key
            stays behind.
    """
    if (successor / CONFIG_FILE).exists():
        return
    check_endpoint(listening.endpoint)
    heard = {"endpoint": listening.endpoint, "host": listening.host, "port": listening.port}
    fresh = MinerSettings.model_fields
    own = (
        "owner_keystore",
        "encryption_keystore",
        "signer_keystore",
        "journal",
        "files",
        "shard_keys",
    )
    defaults = {name: fresh[name].default for name in own}
    new = settings.model_copy(update={**heard, **defaults, "deployment": Path(DEPLOYMENT_FILE)})
    sources = [folder / path for path in (settings.owner_keystore, settings.encryption_keystore)]
    paths = [successor / path for path in (new.owner_keystore, new.encryption_keystore)]
    sources += (former := former_key_paths(sources[1]))
    paths += [renamed_former(one, sources[1], paths[1]) for one in former]
    signer = successor / new.signer_keystore
    refuse_existing([*paths, signer])
    with all_or_none([*paths, signer]):
        try:
            signer.parent.mkdir(parents=True, exist_ok=True)
            for source, path in zip(sources, paths, strict=True):
                shutil.copy(source, path)
        except OSError as error:
            raise InvalidConfiguration(f"cannot copy the keys: {error}") from error
        create_keystore(signer, password, cost=cost)
        Deployment.read(folder / settings.deployment).write(successor / DEPLOYMENT_FILE)
        write_settings(successor, new)


async def rotate(owner: Owner, identity: Identity) -> Rotated:
    """Name the signer of `identity` for all seats that the owner takes from now on.

    Raises:
        InvalidInput: the owner is no operator yet; `register` makes it one.
        InvalidConfiguration: the owner lacks coins for gas.
        Rejected: the vault refuses, e.g. a signer of another operator.
        Unavailable: the node does not answer; run it again.
    """
    vault = Contracts(owner.connection).vault
    known = await vault.operator(owner.address, at="latest")
    if known.signer == ZERO_ADDRESS:
        raise InvalidInput(f"{owner.address} is no operator; `nesa-miner register` makes it one")
    if known.signer != identity.address:
        await owner.require_coins()
        call = vault.rotate_signer(identity.address, consent_of(owner, identity))
        await owner.send(call, f"naming the signer {identity.address}")
    return Rotated(owner.address, known.signer, identity.address)
