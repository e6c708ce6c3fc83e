"""What a developer says about a model before anything is measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from nesa.models.card import Feature, Part, Tokens
from nesa.models.validation import first_problem
from nesa.protocol.errors import InvalidInput


class Words(Part):
    """What every card says in words. A feature's number goes into the float model as
    `(value - offset) / step`; one feature may stand for all numbers of the input."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,63}$")
    title: str
    description: str
    data: str
    licence: str
    features: tuple[Feature, ...]


class ClassifierWords(Words):
    """Description of a model that answers with one of `labels`."""

    task: Literal["classification"] = "classification"
    labels: tuple[str, ...]


class TensorWords(Words):
    """Description of a model whose answer is a tensor of numbers."""

    task: Literal["embedding", "regression"]
    tokens: Tokens | None = None


Description = ClassifierWords | TensorWords

_READER: TypeAdapter[Description] = TypeAdapter(
    Annotated[ClassifierWords | TensorWords, Field(discriminator="task")]
)


def read_description(path: Path) -> Description:
    """The description in a JSON file; one without a `task` is of a classifier.

    Raises:
        InvalidInput: no such file, or a field missing or wrong.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read the description {path}") from error
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} must hold a JSON object")
    try:
        return _READER.validate_json(json.dumps({"task": "classification", **found}))
    except ValidationError as error:
        place, problem = first_problem(error, "task", skipped=1)
        raise InvalidInput(f"{path}: {place}: {problem}") from error
