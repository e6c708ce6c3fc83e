"""Where everything of a development network lies below its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nesa.protocol.errors import InvalidConfiguration


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one network; `root` is absolute."""

    root: Path

    @property
    def network(self) -> Path:
        """What clients read."""
        return self.root / "network.json"

    @property
    def lease(self) -> Path:
        """Who runs this network."""
        return self.root / "supervisor.pid"

    @property
    def logs(self) -> Path:
        """One log a process."""
        return self.root / "logs"

    @property
    def deployments(self) -> Path:
        """Addresses of the contracts."""
        return self.root / "deployments"

    @property
    def ape(self) -> Path:
        """ape's own folder, so that nothing of a user's home is read or changed."""
        return self.root / "ape"

    @property
    def store(self) -> Path:
        """Files of all models by digest, as miners fetch them."""
        return self.root / "store"

    @property
    def products(self) -> Path:
        """What is computed of each model in queries on shares."""
        return self.root / "products"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder that a network makes."""
        names = ("ape", "deployments", "keys", "logs", "operators", "products", "store")
        return tuple(self.root / name for name in names)

    def keys(self, name: str) -> Path:
        """Folder of an account's keystore and password."""
        return self.root / "keys" / name

    def operator(self, name: str) -> Path:
        """Folder of a miner or an oracle."""
        return self.root / "operators" / name

    def log(self, name: str) -> Path:
        """Log of a process."""
        return self.logs / f"{name}.log"


@dataclass(frozen=True, slots=True)
class Clone:
    """A checkout of the project: the contracts and the deploy script are not in the package."""

    root: Path

    @property
    def models(self) -> Path:
        """Compiled models."""
        return self.root / "models"

    @property
    def proving_cache(self) -> Path:
        """Proving keys by circuit digest, shared by every network of this clone."""
        return self.root / ".cache" / "proving"


def find_clone() -> Clone:
    """The clone that this program runs from.

    Raises:
        InvalidConfiguration: it was installed without one.
    """
    for folder in (Path.cwd(), *Path(__file__).resolve().parents):
        if (folder / "ape-config.yaml").is_file() and (folder / "contracts").is_dir():
            return Clone(folder)
    raise InvalidConfiguration(
        "a development network needs the contracts: run this command inside a clone of the project"
    )
