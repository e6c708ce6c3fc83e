"""Takes miners out of a swarm whose work took far longer than what they stated predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nesa.models.placement.capacities import Swarm
from nesa.models.placement.costs import ModelCosts
from nesa.models.placement.observed import Finding, find_slow
from nesa.models.validation import first_problem
from nesa.protocol.errors import InvalidInput

MAX_OBSERVED_BYTES: Final = 1 << 22

Run = Annotated[float, Field(gt=0, le=1e9)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PeerTimes(_Part):
    """Seconds of one miner's runs."""

    signer: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$")]
    seconds: Annotated[tuple[Run, ...], Field(max_length=1024)]


class ShardTimes(_Part):
    """Seconds of the miners of one shard, which the digest of its file names."""

    file_digest: Annotated[str, Field(pattern="^0x[0-9a-f]{64}$")]
    peers: Annotated[tuple[PeerTimes, ...], Field(max_length=1024)]


class ObservedFile(_Part):
    """What a miner answers at `/v1/observed`."""

    shards: Annotated[tuple[ShardTimes, ...], Field(max_length=1024)]


@dataclass(frozen=True, slots=True)
class Part:
    """Operators `first <= i < end` of a model, which run as the shard with this file digest."""

    first: int
    end: int
    file_digest: str


@dataclass(frozen=True, slots=True)
class Overstated:
    """A miner that was found out, and in what."""

    name: str
    part: Part
    finding: Finding


def read_observed(text: bytes) -> ObservedFile:
    """Observed times from a JSON document.

    Raises:
        InvalidInput: too long, or no JSON of this form; the message names the place.
    """
    if len(text) > MAX_OBSERVED_BYTES:
        raise InvalidInput(f"observed times take at most {MAX_OBSERVED_BYTES} bytes")
    try:
        return ObservedFile.model_validate_json(text)
    except ValidationError as error:
        place, problem = first_problem(error, "the document")
        raise InvalidInput(f"the observed times are wrong at {place}: {problem}") from None


def find_liars(
    swarm: Swarm, costs: ModelCosts, parts: Sequence[Part], files: Sequence[ObservedFile]
) -> list[Overstated]:
    """The miners of a swarm whose claim does not hold in some part that they ran.

    Times of signers that the swarm does not name, and of shards of other models, are left out.
    What several files say of one miner and shard counts together.
    """
    names = {one.signer.lower(): one.name for one in swarm.miners if one.signer}
    found = list[Overstated]()
    for part in parts:
        operators = costs.operators[part.first : part.end]
        predicted = {one.name: float(one.capacity.seconds(operators).sum()) for one in swarm.miners}
        seconds = _seconds(part, names, files)
        slow = find_slow(predicted, seconds)
        found += [Overstated(name, part, finding) for name, finding in slow.items()]
    return found


def without(swarm: Swarm, liars: Sequence[Overstated]) -> Swarm:
    """The swarm without those who were found out.

    Raises:
        InvalidInput: nobody is left.
    """
    names = {one.name for one in liars}
    honest = tuple(one for one in swarm.miners if one.name not in names)
    if not honest:
        raise InvalidInput("no miner is left whose times fit its claim; ask for new statements")
    return replace(swarm, miners=honest)


def _seconds(
    part: Part, names: Mapping[str, str], files: Sequence[ObservedFile]
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for shard in (one for file in files for one in file.shards):
        if shard.file_digest != part.file_digest:
            continue
        for peer in shard.peers:
            if (name := names.get(peer.signer.lower())) is not None:
                found.setdefault(name, []).extend(peer.seconds)
    return found
