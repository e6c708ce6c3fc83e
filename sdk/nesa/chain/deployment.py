"""Where the contracts are: one file a chain, and one file for a whole development network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

from eth_utils.address import is_address, to_checksum_address
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from nesa.chain.documents import write_document
from nesa.models.validation import first_problem
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import PROTOCOL_VERSION, Address, BlockNumber, VersionId


def _checksummed(value: str) -> Address:
    if not is_address(value):
        raise ValueError(f"{value!r} is not an address")
    return Address(to_checksum_address(value))


def _version_id(value: str) -> str:
    if len(bytes.fromhex(value.removeprefix("0x"))) != 32:
        raise ValueError(f"{value!r} is not 32 bytes of hex")
    return value


AddressField = Annotated[Address, AfterValidator(_checksummed)]
"""An address in a file: any case is read, the checksummed form is kept."""

_Document = TypeVar("_Document", bound=BaseModel)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The document in `path`.

        Raises:
            InvalidConfiguration: no such file, not JSON, or a field missing or wrong.
        """
        return _read(cls, path)

    def write(self, path: Path) -> None:
        """Store as JSON; the folder is made when it is missing, an older file replaced at once.

        Raises:
            InvalidConfiguration: it cannot be written.
        """
        write_document(path, self)


class Deployment(_File):
    """One set of contracts on one chain; `block` is where reading of logs begins.

    Files of deployments without a dispute court, summonses, sessions or allow lists name none.
    """

    chain_id: int = Field(gt=0)
    block: BlockNumber = Field(ge=0)
    protocol_version: int = PROTOCOL_VERSION
    token: AddressField
    parameters: AddressField
    vault: AddressField
    registry: AddressField
    router: AddressField
    committee: AddressField
    pricing: AddressField
    market: AddressField
    delegation_pool: AddressField
    gas_escrow: AddressField
    reward_emitter: AddressField
    court: AddressField | None = None
    summons: AddressField | None = None
    sessions: AddressField | None = None
    allow_list: AddressField | None = None

    def contracts(self) -> dict[str, Address]:
        """Every contract's address by name."""
        found = {name: getattr(self, name) for name in CONTRACT_NAMES}
        return {name: address for name, address in found.items() if address is not None}


CONTRACT_NAMES: Final = tuple(
    name
    for name in Deployment.model_fields
    if name not in ("chain_id", "block", "protocol_version")
)
"""Every contract of a deployment, as its file names them."""


class KeyFile(_File):
    """An encrypted key and the file that holds its password."""

    keystore: Path
    password_file: Path


class ServedModel(_File):
    """A version that a development network serves: its name, id and folder of shards."""

    name: str
    version_id: Annotated[str, AfterValidator(_version_id)]
    folder: Path

    @property
    def id(self) -> VersionId:
        """The version id as bytes."""
        return VersionId(bytes.fromhex(self.version_id.removeprefix("0x")))


class Network(_File):
    """What clients need to know of a network; a development network's `network.json` tells it.

    `client` is the key that pays when no other is given, `models` are versions whose names the
    client may trust; public networks offer neither.
    """

    rpc_url: str
    chain_id: int = Field(gt=0)
    contracts: Deployment
    client: KeyFile | None = None
    models: tuple[ServedModel, ...] = ()


def read_network(path: Path, rpc_url: str | None = None) -> Network:
    """The network that a file describes, reached through `rpc_url` when it is given.

    A network file names a node itself, a deployment file does not.

    Raises:
        InvalidConfiguration: no such file, not JSON, a field missing or wrong, or no RPC URL.
    """
    if not path.is_file():
        raise InvalidConfiguration(
            f"there is no network file {path}: start a network with `nesa devnet up`, "
            "or name the file of another with --network"
        )
    if not _is_deployment(path):
        found = Network.read(path)
        return found if rpc_url is None else found.model_copy(update={"rpc_url": rpc_url})
    if rpc_url is None:
        raise InvalidConfiguration(
            f"{path} says where the contracts are but names no node: give its RPC URL too, "
            "with --rpc-url or NESA_RPC_URL (rpc_url in Python)"
        )
    deployment = Deployment.read(path)
    return Network(rpc_url=rpc_url, chain_id=deployment.chain_id, contracts=deployment)


def deployment_path(folder: Path, chain_id: int) -> Path:
    """Where the deployment on `chain_id` is kept under `folder`."""
    return folder / f"{chain_id}.json"


class _Shape(BaseModel):
    """The fields at the top of a file that tell a deployment from a network."""

    market: str | None = None


def _is_deployment(path: Path) -> bool:
    return _read(_Shape, path).market is not None


def _read(kind: type[_Document], path: Path) -> _Document:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"cannot read {path}: {error}") from error
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        place, problem = first_problem(error, "the file")
        raise InvalidConfiguration(f"{path}: {place}: {problem}") from error
