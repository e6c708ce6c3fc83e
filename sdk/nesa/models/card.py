"""The model card: what the integers mean to a person, and how good the model was measured to be.

A classifier answers with one of its labels, every other model with a tensor of numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import numpy as np
from eth_utils.crypto import keccak
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat

from nesa.models.canonical import canonical_json
from nesa.models.graph import Integers
from nesa.models.quantise import Floats
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidTensor
from nesa.protocol.ids import Digest


def _edge_word(text: str) -> str:
    EdgeType.unpack(bytes.fromhex(text.removeprefix("0x")))
    return text


MODEL_NAME: Final = re.compile("[a-z0-9][a-z0-9-]{0,63}")

EdgeWord = Annotated[str, Field(pattern="^0x[0-9a-f]{64}$"), AfterValidator(_edge_word)]
Share = Annotated[float, Field(ge=0, le=1)]
Cosine = Annotated[float, Field(ge=-1, le=1)]


class Part(BaseModel):
    """Base of everything that is read from a model's files: frozen, strict, nothing extra."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, strict=True, hide_input_in_errors=True
    )


class Feature(Part):
    """One number that a person gives; it is sent as `floor((value - offset) / step + 0.5)`."""

    name: str
    unit: str
    offset: float
    step: PositiveFloat


class Accuracy(Part):
    """Share of right answers on the test rows; `proved` counts answers from verified proofs."""

    test_rows: int
    float_model: Share
    integer_model: Share
    proved_rows: int = 0
    proved: Share | None = None


class Fidelity(Part):
    """How near the integer model's tensors come to the float model's on the test rows.

    Cosines are between the two tensors of one row; `relative_error` is the root mean square of all
    differences, in parts of that of the float model's numbers.
    """

    test_rows: int
    mean_cosine: Cosine
    lowest_cosine: Cosine
    relative_error: Annotated[float, Field(ge=0)]


class Tokens(Part):
    """That inputs are token ids: of which tokenizer, and the id that fills short rows up."""

    tokenizer: str
    padding: Annotated[int, Field(ge=0)]


class Equivariance(Part):
    """That a model is another one under a user's key: the root of the plain version, the epoch of
    the key, and the fingerprint that names it."""

    plain_version: Annotated[str, Field(pattern="^0x[0-9a-f]{64}$")]
    epoch: Annotated[int, Field(ge=0)]
    key: Annotated[str, Field(pattern="^0x[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Classification:
    """What a classifier says: the label, its number, and for each label a logit and a score.

    Scores are the softmax of the logits, computed in floating point for the reader only. Both
    are empty when the model gives nothing but the number.
    """

    label: str
    index: int
    logits: tuple[float, ...]
    scores: tuple[float, ...]


class ModelCard(Part):
    """Facts about a model in the words of its users. Its digest is part of the version root.

    `features` name the numbers of the input in order, or one of them stands for all. `output_scale`
    is what one step of the output is worth. `reference_string` names the structured reference
    string of the circuits, empty where there are none; `circuits` says what those hash. A model
    with an `equivariance` takes and gives tensors in the frame of that key.
    """

    name: Annotated[str, Field(pattern=f"^{MODEL_NAME.pattern}$")]
    title: str
    description: str
    data: str
    licence: str
    features: tuple[Feature, ...]
    input_type: EdgeWord
    output_type: EdgeWord
    output_scale: PositiveFloat
    reference_string: str = ""
    # Left out of the file where they say nothing: the digests of other cards are older than them.
    circuits: CircuitKind = Field(
        default=CircuitKind.PUBLIC, exclude_if=lambda one: one is CircuitKind.PUBLIC
    )
    equivariance: Equivariance | None = Field(default=None, exclude_if=lambda one: one is None)

    @property
    def input_edge(self) -> EdgeType:
        """Type of the input tensor."""
        return EdgeType.unpack(bytes.fromhex(self.input_type[2:]))

    @property
    def output_edge(self) -> EdgeType:
        """Type of the output tensor."""
        return EdgeType.unpack(bytes.fromhex(self.output_type[2:]))

    @property
    def digest(self) -> Digest:
        """keccak-256 of the card as canonical JSON."""
        return Digest(keccak(canonical_json(self.model_dump(mode="json"))))

    @property
    def element_features(self) -> tuple[Feature, ...]:
        """What each element of the input is, in C order."""
        if len(self.features) == 1:
            return self.features * self.input_edge.elements
        return self.features

    def quantise_input(self, features: NDArray[np.generic]) -> Integers:
        """Real numbers, in the order of `features`, as int64 tensor of the input's shape.

        Accepts the input's shape, with or without its leading 1, or one flat row. Values outside
        the range that the model was calibrated on are clipped; `clipped_features` names them.

        Raises:
            InvalidTensor: wrong shape, or a value that is not a finite number.
        """
        edge = self.input_edge
        steps = np.clip(self._steps(features), edge.low, edge.high)
        whole: Integers = steps.astype(np.int64).reshape(edge.shape)
        return whole

    def clipped_features(self, features: NDArray[np.generic]) -> tuple[str, ...]:
        """Names of the features whose values `quantise_input` would clip.

        Raises:
            InvalidTensor: wrong shape, or a value that is not a finite number.
        """
        edge, steps = self.input_edge, self._steps(features)
        outside = (steps < edge.low) | (steps > edge.high)
        named = zip(self.element_features, outside, strict=True)
        return tuple(feature.name for feature, beyond in named if beyond)

    def _steps(self, features: NDArray[np.generic]) -> Floats:
        """Whole steps of every feature, flat and not clipped."""
        edge = self.input_edge
        if features.shape not in (edge.shape, edge.shape[1:], (edge.elements,)):
            if features.size != edge.elements:
                raise InvalidTensor(f"the model needs {edge.elements} numbers, got {features.size}")
            raise InvalidTensor(f"features have shape {features.shape}, not {edge.shape}")
        if features.dtype.kind not in "iuf" or not np.isfinite(features.astype(np.float64)).all():
            raise InvalidTensor("features must be finite numbers")
        offsets = np.array([feature.offset for feature in self.features])
        sizes = np.array([feature.step for feature in self.features])
        flat = features.astype(np.float64).reshape(-1)
        steps: Floats = np.floor((flat - offsets) / sizes + 0.5)
        return steps


class ClassifierCard(ModelCard):
    """Card of a model that answers with one of `labels`; a step of a logit is `output_scale`."""

    task: Literal["classification"] = "classification"
    labels: tuple[str, ...]
    accuracy: Accuracy

    def interpret(self, output: NDArray[np.generic]) -> Classification:
        """The answer in an output tensor, given as integers of the output's shape.

        Raises:
            InvalidTensor: not a tensor of the output's type.
        """
        edge = self.output_edge
        values = edge.decode(edge.encode(output)).astype(np.float64).reshape(-1)
        if values.size == 1:
            index = int(values[0])
            return Classification(self.labels[index], index, (), ())
        index, logits = int(values.argmax()), values * self.output_scale
        weights = np.exp(logits - logits.max())
        scores = weights / weights.sum()
        numbers = tuple(logits.tolist()), tuple(scores.tolist())
        return Classification(self.labels[index], index, *numbers)


class TensorCard(ModelCard):
    """Card of a model whose answer is a tensor of numbers, `output_scale` times its integers.

    An embedding's direction is what counts. With `tokens` the input is a row of token ids: they
    are whole, lie in the vocabulary, and short rows are filled up.
    """

    task: Literal["embedding", "regression"]
    tokens: Tokens | None = None
    fidelity: Fidelity

    def quantise_input(self, features: NDArray[np.generic]) -> Integers:
        """As of every card; token ids are taken as they are, none is clipped.

        Raises:
            InvalidTensor: as of every card, too many token ids, or one that is none.
        """
        if self.tokens is None:
            return super().quantise_input(features)
        edge, given = self.input_edge, features.reshape(-1)
        if given.size > edge.elements:
            raise InvalidTensor(f"the model reads {edge.elements} tokens, cut the {given.size} off")
        row = np.full(edge.elements, self.tokens.padding, np.float64)
        row[: given.size] = given
        ids = super().quantise_input(row)
        if not np.array_equal(ids.reshape(-1), row):
            raise InvalidTensor(f"token ids are whole numbers from {edge.low} to {edge.high}")
        return ids


AnyCard = Annotated[ClassifierCard | TensorCard, Field(discriminator="task")]
"""A card as it is read; its task says of which kind it is."""
