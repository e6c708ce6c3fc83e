"""Makes the folder of a new watchtower: one key, the deployment, the settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nesa.chain.keystore import SCRYPT_COST, create_keystore
from nesa.models.proving.reference_string import LOCAL_CHAIN_IDS
from nesa.privacy.keys import generate_key, public_bytes, save_key
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address
from nesa_miner.founding import DEPLOYMENT_FILE, LIGHT_COST, Place
from nesa_miner.keys import refuse_existing
from nesa_miner.watchtower.config import CONFIG_FILE, WatchSettings, write_settings


@dataclass(frozen=True, slots=True)
class Wish:
    """What a watchtower is to be: its port, its stores, and whether it makes fault proofs."""

    port: int
    stores: tuple[str, ...] = ()
    fault_proofs: bool = False


@dataclass(frozen=True, slots=True)
class Founded:
    """`account` needs NES and coin; clients of sealed queries grant the view to `view_key`."""

    account: Address
    view_key: bytes


def found_watchtower(
    folder: Path,
    place: Place,
    wish: Wish,
    password: str,
    *,
    light_keys: bool = False,
) -> Founded:
    """Make a watchtower in `folder`.

    Raises:
        InvalidConfiguration: one lives there, the network has no court, or a file cannot be
            written.
    """
    deployment = place.deployment
    if deployment.court is None:
        raise InvalidConfiguration(
            "this network has no dispute court, so there is nothing to challenge; use the "
            "deployment file of one that has"
        )
    if light_keys and deployment.chain_id not in LOCAL_CHAIN_IDS:
        raise InvalidConfiguration(
            f"light keys are for local chains only, not for chain {deployment.chain_id}"
        )
    settings = WatchSettings(
        rpc_url=place.rpc_url,
        deployment=Path(DEPLOYMENT_FILE),
        port=wish.port,
        stores=wish.stores,
        fault_proofs=wish.fault_proofs,
        allow_private_contents=deployment.chain_id in LOCAL_CHAIN_IDS,
    )
    keys = (folder / settings.keystore, folder / settings.view_key)
    refuse_existing([folder / CONFIG_FILE, *keys])
    cost = LIGHT_COST if light_keys else SCRYPT_COST
    account = create_keystore(keys[0], password, cost=cost)
    view_key = generate_key()
    save_key(keys[1], view_key, password, cost)
    (folder / settings.grants).mkdir()
    deployment.write(folder / DEPLOYMENT_FILE)
    write_settings(folder, settings)
    return Founded(Address(account.address), public_bytes(view_key))


def next_steps(folder: Path, place: Place, account: Address) -> str:
    """What a person does after `found_watchtower`, for that person to read."""
    local = place.deployment.chain_id in LOCAL_CHAIN_IDS
    how = f"  (a devnet gives both: nesa devnet fund {account} --dir DIR)\n" if local else ""
    return (
        f"Next: send coin for gas and NES for bonds to {account}, then\n{how}"
        f"nesa-miner watchtower run --dir {folder}\n"
        f"nesa-miner watchtower status --dir {folder}   says what it found and what it lacks"
    )
