"""The middle of a split model as a model folder of its own, and the note of where it was split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nesa.models.card import Feature, Fidelity, TensorCard
from nesa.models.cut import cut
from nesa.models.folder import CompiledModel, assemble, save
from nesa.models.graph import Table
from nesa.models.index import word
from nesa.models.measuring import NOT_MEASURED, fidelity, integer_outputs
from nesa.models.samples import LabelledRows
from nesa.models.validation import first_problem
from nesa.privacy.split.parts import Parts, split
from nesa.privacy.split.running import SplitRunner
from nesa.protocol.errors import IntegrityError, InvalidConfiguration, InvalidInput

NOTE: Final = "split.json"
TEST_ROWS: Final = 32
"""So many test rows of the whole model become activations on which the middle is measured."""


class SplitNote(BaseModel):
    """Where a model was split, and into what: roots are words of 32 bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(pattern="^0x[0-9a-f]{64}$")
    middle: str = Field(pattern="^0x[0-9a-f]{64}$")
    first: int
    end: int

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The note in the folder of a middle.

        Raises:
            InvalidConfiguration: there is none, or a field is missing or wrong.
        """
        try:
            return cls.model_validate(json.loads((folder / NOTE).read_text(encoding="utf-8")))
        except ValidationError as error:
            place, problem = first_problem(error, "the note")
            raise InvalidConfiguration(f"{folder / NOTE}: {place}: {problem}") from error
        except (OSError, ValueError) as error:
            raise InvalidConfiguration(
                f"{folder} is not the middle of a split model; write one with `nesa model split`"
            ) from error

    def parts(self, model: CompiledModel) -> Parts:
        """The parts of the whole model, which must be the one that was split.

        Raises:
            IntegrityError: it is another model, or another version of it.
        """
        if word(model.root) != self.model:
            raise IntegrityError(
                f"{model.name} has root {word(model.root)}, not {self.model}, which was split; "
                "give the folder of that version"
            )
        return split(model.table, self.first, self.end)


def write_middle(model: CompiledModel, parts: Parts, shards: int, folder: Path) -> SplitNote:
    """Write the middle as a model folder in `shards` shards, with its note.

    Raises:
        InvalidInput: the folder holds a model already.
        InvalidModel: there are not enough places to cut at.
    """
    if (folder / "model.json").exists():
        raise InvalidInput(f"{folder} holds a model already; name another folder")
    middle = middle_model(model, parts, shards)
    note = SplitNote(
        model=word(model.root), middle=word(middle.root), first=parts.first, end=parts.end
    )
    save(middle, folder)
    (folder / NOTE).write_text(note.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return note


def middle_model(model: CompiledModel, parts: Parts, shards: int) -> CompiledModel:
    """The middle in `shards` shards, measured on activations of the whole model's test rows.

    What it is measured against are its own integers, so its card states no error: how good the
    whole model is stands on the whole model's card.
    """
    table = cut(parts.middle, shards)
    rows = _activations(model, parts, table)
    card = _card(model, table)
    answers = [np.asarray(label, dtype=np.int64) for label in rows.labels]
    found = fidelity(card, answers, rows)
    return assemble(table, card.model_copy(update={"fidelity": found}), rows)


def _activations(model: CompiledModel, parts: Parts, table: Table) -> LabelledRows:
    runner, (edge,) = SplitRunner(parts), table.inputs
    given = model.test_rows().inputs[:TEST_ROWS]
    sent = [runner.begin([model.input_edge.encode(row)]).sent for row in given]
    inputs = np.stack([edge.decode(tensor) for tensor in sent])
    answers = np.stack(integer_outputs(table, inputs)).astype(np.float32)
    return LabelledRows(inputs, answers, inputs.reshape(len(inputs), -1))


def _card(model: CompiledModel, table: Table) -> TensorCard:
    return TensorCard(
        task="regression",
        name=f"{model.name[:57]}-middle",
        title=f"Middle layers of {model.card.title}",
        description="Answers with the activations behind these layers; clients compute the rest.",
        data=model.card.data,
        licence=model.card.licence,
        features=(Feature(name="activation", unit="steps", offset=0.0, step=1.0),),
        input_type=word(table.inputs[0].pack()),
        output_type=word(table.type_of(table.outputs[0]).pack()),
        output_scale=1.0,
        fidelity=Fidelity.model_validate(NOT_MEASURED["fidelity"], strict=False),
    )
