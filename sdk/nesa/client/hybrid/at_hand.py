"""What goes with the version that is asked, of all that a client has at hand: a user's key, the
layers around a middle, and the public model itself."""

from __future__ import annotations

from dataclasses import replace

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.client.cards import Model
from nesa.client.modes import Auto
from nesa.client.shared_offers import require_same
from nesa.client.sharing import SharedPublicModel
from nesa.protocol.errors import IntegrityError, InvalidInput, NesaError


async def what_fits(contracts: Contracts, model: Model, auto: Auto) -> Auto:
    """`auto` without a key where the version is under none, and without a split model of which the
    version is not the middle. A version under a key keeps it, so that a wrong one is refused.

    Raises:
        InvalidInput, IntegrityError: all that is at hand is for other versions.
    """
    misfits = list[NesaError]()
    key, split = auto.equivariant, auto.split
    if key is not None and model.card.equivariance is None:
        misfits.append(InvalidInput(f"{model.name} is under no key: ask it without one"))
        key = None
    if split is not None:
        developer = await contracts.registry.developer_of(model.version_id, at="latest")
        try:
            split.require_middle(model, developer)
        except IntegrityError as error:
            misfits.append(error)
            split = None
    if misfits and key is None and split is None and auto.shared is None:
        raise misfits[0] if len(misfits) == 1 else InvalidInput("; ".join(map(str, misfits)))
    return replace(auto, equivariant=key, split=split)


async def require_shareable(connection: Connection, model: Model, fitting: Auto) -> None:
    """Returns when the public model at hand answers what is asked of a version: it is that version,
    the one that the version is under a key of, or the one that it is the middle of.

    Raises:
        InvalidInput: it is another one; the error names both.
    """
    assert fitting.shared is not None, "there is something to be shared"
    shared = fitting.shared.shared
    if not _is_what_is_meant(shared, fitting):
        await require_same(connection, model, shared)


def _is_what_is_meant(shared: SharedPublicModel, fitting: Auto) -> bool:
    root = shared.public.root
    if fitting.split is not None:
        return root == fitting.split.whole.root
    if fitting.equivariant is not None:
        return f"0x{root.hex()}" == fitting.equivariant.mark.plain_version
    return False
