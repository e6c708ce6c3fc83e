"""Single files out of pinned npm packages, without installing the packages."""

import base64
import hashlib
import json
import os
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from scripts.setup.failure import SetupError, explain_os_error, run_tool
from scripts.setup.node_runtime import NodeRuntime
from scripts.setup.placing import TOOLS, place_file

PINS = Path(__file__).with_name("npm-packages.json")


@dataclass(frozen=True)
class NpmPackage:
    """One version of one package and the only content accepted for it."""

    name: str
    version: str
    integrity: str


def read_pins(table: Path = PINS) -> dict[str, NpmPackage]:
    """The pinned packages by the name this project gives them."""
    return {key: NpmPackage(**row) for key, row in json.loads(table.read_text()).items()}


def check_integrity(archive: Path, package: NpmPackage) -> None:
    """Raises SetupError unless `archive` is byte for byte the pinned package."""
    algorithm, _, expected = package.integrity.partition("-")
    if algorithm != "sha512":
        raise SetupError(f"The pin of {package.name} is not a sha512: mend {PINS.name}.")
    with archive.open("rb") as content:
        digest = hashlib.file_digest(content, "sha512").digest()
    if base64.b64encode(digest).decode() != expected:
        raise SetupError(
            f"{package.name} {package.version} is not the file that was pinned, so it was not "
            "used; look at the npm mirror or proxy it came through."
        )


def extract_file(archive: Path, member: str, destination: Path, *, mode: int) -> None:
    """Puts one regular file of `archive` at `destination`; links and other kinds are refused."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            entry = tar.getmember(member)
            content = tar.extractfile(entry) if entry.isreg() else None
            if content is None:
                raise SetupError(f"{member} in {archive.name} is not a plain file.")
            place_file(content, destination, mode=mode)
    except (tarfile.TarError, zlib.error, EOFError, KeyError) as problem:
        raise SetupError(f"{archive.name} holds no readable {member}.") from problem


def download(package: NpmPackage, runtime: NodeRuntime, folder: Path) -> Path:
    """The package's archive, fetched by npm into `folder` and not yet checked."""
    environment = runtime.environment(os.environ) | {
        "npm_config_fetch_retries": "1",
        "npm_config_fetch_retry_mintimeout": "2000",
        "npm_config_update_notifier": "false",
    }
    wanted = f"{package.name}@{package.version}"
    run_tool(
        f"Fetching {wanted} from npm",
        [*runtime.npm, "pack", "--ignore-scripts", "--pack-destination", folder, wanted],
        environment=environment,
        seconds=300,
        folder=folder,
    )
    archives = list(folder.glob("*.tgz"))
    if len(archives) != 1:
        raise SetupError(f"npm said it fetched {wanted} but left {len(archives)} archives.")
    return archives[0]


def fetch_file(
    package: NpmPackage,
    member: str,
    destination: Path,
    *,
    runtime: NodeRuntime,
    mode: int = 0o644,
) -> None:
    """Puts `member` of the pinned package at `destination`, checked, in one step."""
    try:
        TOOLS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TOOLS, prefix=".new-") as folder:
            archive = download(package, runtime, Path(folder))
            check_integrity(archive, package)
            extract_file(archive, member, destination, mode=mode)
    except OSError as problem:
        raise explain_os_error(problem) from problem
