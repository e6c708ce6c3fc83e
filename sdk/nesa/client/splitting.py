"""A model of which this client computes the first and the last layers, around the network's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from nesa.client.answers import Answer, OutputTensor
from nesa.client.cards import Features, Model, encode_features
from nesa.client.results import in_words
from nesa.models.folder import CompiledModel, load
from nesa.privacy.split.publishing import SplitNote
from nesa.privacy.split.running import Begun, SplitRunner
from nesa.protocol.errors import IntegrityError
from nesa.protocol.ids import Address, VersionRoot
from nesa.protocol.versions import version_id


@dataclass(frozen=True, slots=True, eq=False)
class SplitModel:
    """A whole model that was split, with the client's parts ready to run."""

    whole: CompiledModel
    note: SplitNote
    runner: SplitRunner

    @classmethod
    def read(cls, whole: Path, middle: Path) -> Self:
        """The folders of the whole model and of its middle, as `nesa model split` wrote it.

        Raises:
            InvalidConfiguration: the second folder is not that of a middle.
            IntegrityError: another version of the model was split, or a file is damaged.
            InvalidModel: the first folder holds no model.
        """
        note, model = SplitNote.read(middle), load(whole)
        return cls(model, note, SplitRunner(note.parts(model)))

    def require_middle(self, registered: Model, developer: Address) -> None:
        """Returns when a registered version is the middle of this model.

        Raises:
            IntegrityError: it is another one, whose answers would make nonsense.
        """
        root = VersionRoot(bytes.fromhex(self.note.middle[2:]))
        if registered.version_id != version_id(developer, root):
            raise IntegrityError(
                f"the version {registered.name} that is registered is not the middle that "
                f"{self.whole.name} was split into (root {self.note.middle})"
            )

    def begin(self, features: Features) -> Begun:
        """Compute the first layers.

        Raises:
            InvalidTensor: the features are not what the whole model takes.
        """
        return self.runner.begin([encode_features(self.whole.card, features)])

    def finish(self, begun: Begun, answer: Answer) -> Answer:
        """The answer of the whole model, with what is known of the middle's query."""
        edge = answer.output.edge
        (output,) = self.runner.finish(begun, edge.encode(answer.output.integers))
        card = self.whole.card
        integers = card.output_edge.decode(output)
        words = in_words(card, integers)
        return replace(
            answer,
            label=words.label,
            index=words.index,
            logits=words.logits,
            scores=words.scores,
            output=OutputTensor(integers, card.output_edge, card.output_scale),
        )
