"""Puts models on a network: files into the store, facts on chain, proving keys in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nesa.client.registering import Developer, Terms
from nesa.models import folder
from nesa.models.folder import CompiledModel
from nesa.models.proving.artefacts import read_provable_shard
from nesa.models.proving.keys import provide_keys
from nesa.models.publish import publish as put_into_store
from nesa.privacy.shared.models import write_products
from nesa.privacy.shared.plan import plan
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import ONE_NES, Amount, VersionId

PRICE: Final = Amount(ONE_NES // 20)
PROOF_PRICE: Final = Amount(ONE_NES // 2)
ROYALTY_BPS: Final = 1_000

Progress = Callable[[str], None]
"""Takes one line a step."""


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A registered model and where its files are."""

    model: CompiledModel
    path: Path
    version_id: VersionId

    @property
    def provable(self) -> bool:
        """Whether every shard has a circuit."""
        return is_provable(self.model)


def is_provable(model: CompiledModel) -> bool:
    """Whether every shard has a circuit."""
    return all(any(shard.circuit_digest) for shard in model.shards)


def find_models(models: Path) -> tuple[Path, ...]:
    """Folders of compiled models.

    Raises:
        InvalidConfiguration: there is none.
    """
    found = tuple(sorted(path.parent for path in models.glob(f"*/{folder.INDEX}")))
    if not found:
        raise InvalidConfiguration(f"there are no compiled models in {models}")
    return found


async def make_proving_keys(paths: Sequence[Path], cache: Path, progress: Progress) -> None:
    """Make the proving keys of every provable shard that are not in the cache yet.

    Raises:
        InvalidModel, IntegrityError: a model's files are damaged.
        ExhaustedResource: time, memory or disk is used up.
    """
    for path in paths:
        model = folder.load(path)
        for shard, facts in enumerate(model.shards):
            if any(facts.circuit_digest):
                progress(f"proving keys of {model.name}, shard {shard}")
                await provide_keys(read_provable_shard(path, model, shard).circuit, cache)


async def publish(developer: Developer, path: Path, store: Path) -> PublishedModel:
    """Store a model's files by digest and register it with its corner proofs."""
    location = put_into_store(path, store, str(store))
    terms = Terms(PRICE, PROOF_PRICE, ROYALTY_BPS, location)
    return PublishedModel(folder.load(path), path, await developer.register(path, terms))


async def publish_products(
    developer: Developer, path: Path, products: Path, store: Path
) -> PublishedModel:
    """Write a model's products, store and register them, and list them for queries on shares.

    Returns the first, in which miners sit to serve them all.
    """
    public = folder.load(path)
    paths = write_products(plan(public.table), public, products)
    terms = [
        (one, Terms(PRICE, PROOF_PRICE, ROYALTY_BPS, put_into_store(one, store, str(store))))
        for one in paths
    ]
    first, *_ = await developer.register_products(terms)
    return PublishedModel(folder.load(paths[0]), paths[0], first)
