"""Asks split models from the command line: first and last layers are computed in this command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from nesa.cli.features import Given, read_features
from nesa.cli.option_groups import Command
from nesa.client.answers import Answer
from nesa.client.cards import Model
from nesa.client.client import Client
from nesa.client.equivariance import require_key
from nesa.client.modes import (
    AsVersion,
    Mode,
    OnMarket,
    Open,
    Shared,
    Split,
    chosen_mode,
    key_of,
    seal_of,
)
from nesa.client.splitting import SplitModel
from nesa.privacy.split.running import Begun
from nesa.protocol.errors import InvalidInput, QueryFailed
from nesa.protocol.ids import VersionId

FOLDER: Final = click.Path(path_type=Path, file_okay=False, exists=True)

BOTH: Final = (
    "a split model takes two folders: --split with the whole model, and --middle with what "
    "`nesa model split` wrote of it"
)


def split_options(command: Command) -> Command:
    """Options that name a whole model and its middle; the command gets `split` and `middle`."""
    whole = click.option(
        "--split",
        type=FOLDER,
        help="Folder of the whole model, of which MODEL is the middle: its first and last layers "
        "are computed here, and only activations leave. Needs --middle.",
    )
    middle = click.option(
        "--middle", type=FOLDER, help="For --split: the folder that `nesa model split` wrote."
    )
    return whole(middle(command))


def read_split(whole: Path | None, middle: Path | None) -> SplitModel | None:
    """The model in two folders; None where none is named.

    Raises:
        InvalidInput: one of them is missing.
        InvalidConfiguration, IntegrityError, InvalidModel: see `SplitModel.read`.
    """
    if whole is None and middle is None:
        return None
    if whole is None or middle is None:
        raise InvalidInput(BOTH)
    return SplitModel.read(whole, middle)


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """What of a query the market carries, and what this command still has to do with its answer."""

    features: Any
    mode: OnMarket
    split: tuple[SplitModel, Begun] | None = None

    def finished(self, answer: Answer) -> Answer:
        """The answer of the whole model."""
        if self.split is None:
            return answer
        model, begun = self.split
        return model.finish(begun, answer)


def carried(model: Model, mode: AsVersion, given: Given) -> Carried:
    """The features as the version takes them: of one under a key those of the plain model, of a
    middle what the first layers make of those of the whole one.

    Raises:
        InvalidInput: another key, or none, or the names are not those of the features.
        InvalidTensor: a whole model does not take the features.
    """
    if isinstance(mode, Split):
        split = mode.split
        begun = split.begin(given.ordered([one.name for one in split.whole.card.features]))
        sent = model.card.input_edge.decode(begun.sent)
        return Carried(sent, seal_of(mode) or Open(), (split, begun))
    held = key_of(mode)
    require_key(model, held)  # before the features, which are named by the plain model
    card = model.card if held is None else held.plain_card
    return Carried(given.ordered([one.name for one in card.features]), mode)


def finish_with(split: SplitModel | None, input_: str | None) -> Callable[[Answer], Answer]:
    """What computes the whole model's answer of the middle's, for the input that was asked about;
    nothing without a split model.

    Raises:
        InvalidInput, InvalidTensor: the input is missing, or the model does not take it.
    """
    if split is None:
        if input_ is not None:
            raise InvalidInput("--input is for --split, whose last layers need it")
        return lambda answer: answer
    if input_ is None:
        raise InvalidInput("--split needs --input, what was asked about, for the last layers")
    names = [one.name for one in split.whole.card.features]
    begun = split.begin(read_features(input_).ordered(names))
    return lambda answer: split.finish(begun, answer)


async def require_middle(client: Client, split: SplitModel, asked: VersionId) -> None:
    """Returns when a query's version is the middle of this model.

    Raises:
        IntegrityError: it is another one, whose answers would make nonsense.
    """
    model = await client.model(f"0x{asked.hex()}")
    developer = await client.contracts.registry.developer_of(asked, at="latest")
    split.require_middle(model, developer)


def as_version(mode: Mode) -> AsVersion:
    """A mode that is asked of a version.

    Raises:
        InvalidInput: it has to be chosen first, or asks groups.
    """
    chosen = chosen_mode(mode)
    if isinstance(chosen, Shared):
        raise InvalidInput("a query on shares asks groups, not a version of the market")
    return chosen


@contextmanager
def finishing(mode: AsVersion) -> Iterator[None]:
    """Left early, the block says what it takes beside to have the answer of the whole model."""
    try:
        yield
    except QueryFailed:
        raise
    except BaseException:
        if isinstance(mode, Split):
            click.echo(
                "`nesa answer` gives what the network computed; with --split, --middle and --input "
                "as here it computes the last layers as well",
                err=True,
            )
        raise
