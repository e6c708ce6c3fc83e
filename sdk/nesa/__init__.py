"""Nesa: ask models that a network of miners runs, agrees on and proves; pay in NES.

    from nesa import Client

    async with Client.connect(".devnet/network.json") as nesa:
        model = await nesa.model("breast-cancer-mlp")
        answer = await nesa.ask(model, features, assurance="AGREED", privacy="sealed")
        print(answer.label)

Names are imported when they are first used: a program that needs the protocol alone loads nothing
else.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nesa.chain.deployment import Deployment, KeyFile, Network
    from nesa.client.answers import Answer, Balance, GasUsed, OutputTensor, SubmittedQuery, Timings
    from nesa.client.cards import Model
    from nesa.client.client import Client
    from nesa.client.hybrid.offers import QueryPlan
    from nesa.client.hybrid.rule import Sensitivity
    from nesa.client.modes import Auto, Equivariant, Open, Sealed, Shared, Split
    from nesa.client.ordering import SealedInput
    from nesa.client.receipts import FeeReceipt, Member
    from nesa.client.sharing import SharedPublicModel, SharedResult
    from nesa.client.splitting import SplitModel
    from nesa.client.watching import (
        Closed,
        Delivered,
        Drawn,
        Expired,
        Finalised,
        Fulfilled,
        Held,
        Overturned,
        Refunded,
        Released,
        Requested,
        Stage,
    )
    from nesa.models.card import ClassifierCard, ModelCard, TensorCard
    from nesa.privacy.equivariant.user_keys import UserKey, load_user_key
    from nesa.protocol.errors import (
        ExhaustedResource,
        GroupDivided,
        GroupFailed,
        GroupSilent,
        IllegalMove,
        Incompatible,
        IntegrityError,
        InvalidConfiguration,
        InvalidInput,
        InvalidMessage,
        InvalidModel,
        InvalidOpening,
        InvalidTensor,
        NesaError,
        NotEntitled,
        QueryExpired,
        QueryFailed,
        QueryRefunded,
        Rejected,
        ReusedRandomness,
        Unavailable,
        Unmined,
        WrongShare,
    )
    from nesa.protocol.ids import NES_DECIMALS, ONE_NES
    from nesa.protocol.queries import Assurance, CallbackResult, Privacy, Query, QueryStatus

__all__ = [
    "NES_DECIMALS",
    "ONE_NES",
    "Answer",
    "Assurance",
    "Auto",
    "Balance",
    "CallbackResult",
    "ClassifierCard",
    "Client",
    "Closed",
    "Delivered",
    "Deployment",
    "Drawn",
    "Equivariant",
    "ExhaustedResource",
    "Expired",
    "FeeReceipt",
    "Finalised",
    "Fulfilled",
    "GasUsed",
    "GroupDivided",
    "GroupFailed",
    "GroupSilent",
    "Held",
    "IllegalMove",
    "Incompatible",
    "IntegrityError",
    "InvalidConfiguration",
    "InvalidInput",
    "InvalidMessage",
    "InvalidModel",
    "InvalidOpening",
    "InvalidTensor",
    "KeyFile",
    "Member",
    "Model",
    "ModelCard",
    "NesaError",
    "Network",
    "NotEntitled",
    "Open",
    "OutputTensor",
    "Overturned",
    "Privacy",
    "Query",
    "QueryExpired",
    "QueryFailed",
    "QueryPlan",
    "QueryRefunded",
    "QueryStatus",
    "Refunded",
    "Rejected",
    "Released",
    "Requested",
    "ReusedRandomness",
    "Sealed",
    "SealedInput",
    "Sensitivity",
    "Shared",
    "SharedPublicModel",
    "SharedResult",
    "Split",
    "SplitModel",
    "Stage",
    "SubmittedQuery",
    "TensorCard",
    "Timings",
    "Unavailable",
    "Unmined",
    "UserKey",
    "WrongShare",
    "load_user_key",
]

# eth-hash would take pycryptodome, which takes four times as long for inputs of 32 and 64 bytes,
# the most frequent. Set before anything is hashed; whoever has set another keeps it.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

_HOMES: Final = {
    "nesa.chain.deployment": ("Deployment", "KeyFile", "Network"),
    "nesa.client.answers": (
        "Answer",
        "Balance",
        "GasUsed",
        "OutputTensor",
        "SubmittedQuery",
        "Timings",
    ),
    "nesa.client.cards": ("Model",),
    "nesa.client.client": ("Client",),
    "nesa.client.hybrid.offers": ("QueryPlan",),
    "nesa.client.hybrid.rule": ("Sensitivity",),
    "nesa.client.modes": ("Auto", "Equivariant", "Open", "Sealed", "Shared", "Split"),
    "nesa.client.ordering": ("SealedInput",),
    "nesa.client.receipts": ("FeeReceipt", "Member"),
    "nesa.client.sharing": ("SharedPublicModel", "SharedResult"),
    "nesa.client.splitting": ("SplitModel",),
    "nesa.client.watching": (
        "Closed",
        "Delivered",
        "Drawn",
        "Expired",
        "Finalised",
        "Fulfilled",
        "Held",
        "Overturned",
        "Refunded",
        "Released",
        "Requested",
        "Stage",
    ),
    "nesa.models.card": ("ClassifierCard", "ModelCard", "TensorCard"),
    "nesa.privacy.equivariant.user_keys": ("UserKey", "load_user_key"),
    "nesa.protocol.errors": (
        "ExhaustedResource",
        "GroupDivided",
        "GroupFailed",
        "GroupSilent",
        "IllegalMove",
        "Incompatible",
        "IntegrityError",
        "InvalidConfiguration",
        "InvalidInput",
        "InvalidMessage",
        "InvalidModel",
        "InvalidOpening",
        "InvalidTensor",
        "NesaError",
        "NotEntitled",
        "QueryExpired",
        "QueryFailed",
        "QueryRefunded",
        "Rejected",
        "ReusedRandomness",
        "Unavailable",
        "Unmined",
        "WrongShare",
    ),
    "nesa.protocol.ids": ("NES_DECIMALS", "ONE_NES"),
    "nesa.protocol.queries": ("Assurance", "CallbackResult", "Privacy", "Query", "QueryStatus"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'nesa' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
