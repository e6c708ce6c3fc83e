"""A transformed model as a model of its own: table, card, test rows, a version root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.card import AnyCard, ClassifierCard, Feature, TensorCard
from nesa.models.folder import CompiledModel, LabelledRows, assemble
from nesa.models.graph import Integers
from nesa.models.index import word
from nesa.models.measuring import accuracy, fidelity, integer_outputs, named
from nesa.privacy.equivariant.moves import Mover
from nesa.privacy.equivariant.tables import transform
from nesa.privacy.equivariant.user_keys import UserKey
from nesa.protocol.errors import InvalidInput

ROWS: Final = 8
"""Random inputs that the transformed model is compared on."""

ENCODED: Final = Feature(name="encoded input", unit="", offset=0.0, step=1.0)

_NAME_DIGITS: Final = 8
LONGEST_NAME: Final = 64


def transformed_model(model: CompiledModel, held: UserKey) -> CompiledModel:
    """`model` under a key, cut as it is, with a card and test rows that say nothing of the key.

    The same model under the same key is always the same version.

    Raises:
        InvalidInput: the key is for another version.
    """
    if bytes(model.root) != held.key.version:
        raise InvalidInput(
            f"the key is for the version {word(held.key.version)}, and {model.name} here is "
            f"{word(model.root)}; make a key for it with `nesa privacy key`"
        )
    table = transform(model.table, held.key).table
    rows = _random_rows(model, held)
    answers = integer_outputs(table, rows.inputs)
    card = _measured(_card(model, held), answers, rows)
    return assemble(table, card, rows)


def _random_rows(model: CompiledModel, held: UserKey) -> LabelledRows:
    """Random encoded inputs, the same for every key, and the plain model's answers to what they
    stand for, encoded.

    Only the holder of the key knows what they stand for. Rows of real data, encoded, would show
    whoever has the plain model's rows what goes where.
    """
    edge, (source,), (target,) = model.input_edge, held.frames.inputs, held.frames.outputs
    shape = (ROWS, *edge.shape)
    inputs = np.random.default_rng(0).integers(edge.low, edge.high + 1, shape)
    mover = Mover(held.key)
    plain = np.stack([source.decode(row, mover) for row in inputs]).astype(edge.dtype.numpy)
    answers = [target.encode(one, mover) for one in integer_outputs(model.table, plain)]
    labels: NDArray[np.generic] = named(answers)
    if isinstance(model.card, TensorCard):
        labels = (np.stack(answers) * model.card.output_scale).astype(np.float32)
    return LabelledRows(inputs.astype(edge.dtype.numpy), labels, inputs)


def _card(model: CompiledModel, held: UserKey) -> AnyCard:
    """The card in words that say nothing of the order of features and labels."""
    card, mark = model.card, held.mark
    suffix = f"-ee-{mark.key[2 : 2 + _NAME_DIGITS]}"
    changes: dict[str, Any] = {
        "name": card.name[: LONGEST_NAME - len(suffix)] + suffix,
        "description": f"{card.description} Under a user's key: takes and gives tensors that "
        "only the holder of the key can encode and read.",
        "data": f"{ROWS} random inputs, on which it was compared with the plain model "
        f"{mark.plain_version}, whose own measurement stands on its card.",
        "reference_string": "",
        "equivariance": mark,
    }
    if not held.frames.inputs[0].is_plain:
        changes["features"] = (ENCODED,)
    match card:
        case ClassifierCard():
            if not held.frames.outputs[0].is_plain:
                changes["labels"] = tuple(f"place {place}" for place in range(len(card.labels)))
        case TensorCard():
            changes["tokens"] = None
    return card.model_copy(update=changes)


def _measured(card: AnyCard, answers: Sequence[Integers], rows: LabelledRows) -> AnyCard:
    """The card with how often, or how nearly, the answers are those of the plain model."""
    match card:
        case ClassifierCard():
            return card.model_copy(update={"accuracy": accuracy(answers, answers, rows)})
        case TensorCard():
            return card.model_copy(update={"fidelity": fidelity(card, answers, rows)})
