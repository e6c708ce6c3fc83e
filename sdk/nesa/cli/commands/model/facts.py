"""What is shown of a compiled model, whichever command made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nesa.cli.output import plain
from nesa.models.card import AnyCard, ClassifierCard, TensorCard

if TYPE_CHECKING:
    from nesa.models.folder import CompiledModel


def compiled_facts(compiled: CompiledModel) -> dict[str, Any]:
    """Its name, root, shards, whether they can be proved, and how good it is."""
    card = compiled.card
    return {
        "name": compiled.name,
        "root": f"0x{compiled.root.hex()}",
        "shards": len(compiled.shards),
        "provable": all(any(shard.circuit_digest) for shard in compiled.shards),
        **_measured(card),
    }


def _measured(card: AnyCard) -> dict[str, Any]:
    match card:
        case ClassifierCard():
            return {"accuracies": plain(card.accuracy.model_dump())}
        case TensorCard():
            return {"fidelity": plain(card.fidelity.model_dump())}
