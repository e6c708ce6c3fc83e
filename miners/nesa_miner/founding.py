"""Makes the folder of a new miner: keys, deployment and settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from nesa.chain.connection import Connection
from nesa.chain.deployment import Deployment, Network
from nesa.chain.keystore import SCRYPT_COST
from nesa.models.proving.reference_string import LOCAL_CHAIN_IDS
from nesa.models.validation import first_problem
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address
from nesa_miner.config import CONFIG_FILE, MinerSettings, write_settings
from nesa_miner.keys import PublicKeys, create_keys, refuse_existing

DEPLOYMENT_FILE: Final = "deployment.json"
MAX_ENDPOINT_BYTES: Final = 128
"""Longest endpoint that the vault takes."""

LIGHT_COST: Final = 2**12
"""Work to open a key of a chain that lives on one machine."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a network is: its node and its contracts."""

    rpc_url: str
    deployment: Deployment


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a miner listens, and how others reach it there."""

    endpoint: str
    host: str
    port: int


def find_place(deployment: Path | None, network: Path | None, rpc_url: str | None) -> Place:
    """The network that a deployment file and an RPC URL, or a network file, name.

    Raises:
        InvalidConfiguration: none or both files are given, one cannot be read, or no RPC URL.
    """
    if (deployment is None) == (network is None):
        raise InvalidConfiguration("give --deployment FILE with --rpc-url URL, or --network FILE")
    if network is not None:
        found = Network.read(network)
        place = Place(rpc_url or found.rpc_url, found.contracts)
    elif deployment is not None and rpc_url is not None:
        place = Place(rpc_url, Deployment.read(deployment))
    else:
        raise InvalidConfiguration("--deployment needs --rpc-url with the URL of a node")
    Connection(place.rpc_url, place.deployment)
    return place


def found_miner(
    folder: Path,
    place: Place,
    listening: Listening,
    stores: tuple[str, ...],
    password: str,
    *,
    light_keys: bool = False,
) -> PublicKeys:
    """Make a miner in `folder`; nothing that is there is overwritten.

    Raises:
        InvalidConfiguration: a miner lives there, a value makes no sense, or a file cannot be
            written. No key stays behind.
    """
    cost = key_cost(place.deployment, light_keys)
    check_endpoint(listening.endpoint)
    settings = _settings(place, listening, stores)
    refuse_existing([folder / CONFIG_FILE])
    keys = create_keys(folder, settings, password, cost)
    try:
        place.deployment.write(folder / DEPLOYMENT_FILE)
        write_settings(folder, settings)
    except InvalidConfiguration as error:
        raise InvalidConfiguration(
            f"{error}; the keys are made, write {CONFIG_FILE} by hand or remove the folder and "
            "start again"
        ) from error
    return keys


def key_cost(deployment: Deployment, light: bool) -> int:
    """How much work it is to open a key.

    Raises:
        InvalidConfiguration: a light one for a chain that does not live on one machine.
    """
    if light and deployment.chain_id not in LOCAL_CHAIN_IDS:
        raise InvalidConfiguration(
            f"light keys are for local chains only, not for chain {deployment.chain_id}"
        )
    return LIGHT_COST if light else SCRYPT_COST


def next_steps(folder: Path, place: Place, owner: Address) -> str:
    """What a person does after `found_miner`, for that person to read."""
    local = place.deployment.chain_id in LOCAL_CHAIN_IDS
    how = f"  (a devnet gives both: nesa devnet fund {owner} --dir DIR)\n" if local else ""
    return (
        f"Next: send coin for gas and NES for the stake to the owner {owner}, then\n{how}"
        f"nesa-miner register --dir {folder} --version VERSION_ID --shard N"
    )


def check_endpoint(endpoint: str) -> None:
    """Returns when others could reach a miner at this URL.

    Raises:
        InvalidConfiguration: no http URL with a host, or longer than the vault takes.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or not endpoint.isascii():
        raise InvalidConfiguration(
            f"the endpoint {endpoint!r} is not an http or https URL; write it like "
            "https://miner.example.org:8701"
        )
    if len(endpoint) > MAX_ENDPOINT_BYTES:
        raise InvalidConfiguration(f"the endpoint is longer than {MAX_ENDPOINT_BYTES} characters")


def _settings(place: Place, listening: Listening, stores: tuple[str, ...]) -> MinerSettings:
    try:
        return MinerSettings(
            rpc_url=place.rpc_url,
            deployment=Path(DEPLOYMENT_FILE),
            endpoint=listening.endpoint,
            host=listening.host,
            port=listening.port,
            stores=stores,
            allow_private_contents=place.deployment.chain_id in LOCAL_CHAIN_IDS,
        )
    except ValidationError as error:
        name, problem = first_problem(error, "settings")
        raise InvalidConfiguration(f"{name}: {problem.lower()}") from None
