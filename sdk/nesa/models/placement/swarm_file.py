"""Miners and links from a JSON file that somebody wrote by hand or gathered from statements."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nesa.models.placement.capacities import MAX_MINERS, Capacity, Link, Miner, Swarm
from nesa.models.placement.costs import Arithmetic
from nesa.models.validation import first_problem
from nesa.protocol.capacity import CapacityStatement, decode_statement
from nesa.protocol.errors import InvalidInput, InvalidMessage

MAX_FILE_BYTES: Final = 1 << 22

Name = Annotated[str, Field(min_length=1, max_length=64)]
Address = Annotated[str, Field(pattern="^(0x[0-9a-fA-F]{40})?$")]
Rate = Annotated[float, Field(ge=1, le=1e18)]
Milliseconds = Annotated[float, Field(ge=0, le=1e7)]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )


class Figures(_Part):
    """One miner's capacity in plain numbers; units as in CapacityStatement."""

    float32_rate: Rate
    float64_rate: Rate
    int8_rate: Rate
    memory_bandwidth: Rate
    overhead_picoseconds: Annotated[float, Field(ge=0, le=1e15)]
    free_memory: Annotated[int, Field(ge=0, lt=2**63)]


class MinerEntry(_Part):
    """A miner with either its `figures` or its signed `statement` in hex.

    `signer` is the address that plain figures are those of, where anybody is to be found out.
    """

    name: Name
    site: str = Field(default="", max_length=64)
    signer: Address = ""
    figures: Figures | None = None
    statement: str | None = Field(default=None, max_length=2048)

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.figures is None) == (self.statement is None):
            raise ValueError("give either figures or a statement")
        if self.signer and self.statement:
            raise ValueError("a statement names its signer itself")
        return self


class LinkFigures(_Part):
    """A link: `bandwidth` in bytes a second."""

    round_trip_ms: Milliseconds
    bandwidth: Rate
    hop_ms: Milliseconds = 0.0


class LinkEntry(LinkFigures):
    """The link between two miners or two sites, in both directions unless the other is given."""

    source: Name = Field(alias="from")
    target: Name = Field(alias="to")


class SwarmFile(_Part):
    """The whole file; `link` is the one between any two that `links` does not name."""

    miners: Annotated[list[MinerEntry], Field(min_length=1, max_length=MAX_MINERS)]
    link: LinkFigures
    links: Annotated[list[LinkEntry], Field(max_length=2**16)] = []


Ends = tuple[str, str]


def read_swarm(text: bytes) -> Swarm:
    """The swarm that a JSON document describes; statements are checked.

    Raises:
        InvalidInput: too long, no JSON of this form, a name given twice, or a statement that is
            not signed by its signer. The message names the place.
    """
    if len(text) > MAX_FILE_BYTES:
        raise InvalidInput(f"a file of miners holds at most {MAX_FILE_BYTES} bytes")
    try:
        found = SwarmFile.model_validate_json(text)
    except ValidationError as error:
        place, problem = first_problem(error, "the document")
        raise InvalidInput(f"the file of miners is wrong at {place}: {problem}") from None
    twice = [name for name, count in Counter(one.name for one in found.miners).items() if count > 1]
    if twice:
        raise InvalidInput(f"the miner {twice[0]!r} is in the file twice; give it another name")
    links = {(one.source, one.target): _link(one) for one in found.links}
    miners = tuple(_miner(one) for one in found.miners)
    return Swarm(miners, partial(_between, links, _link(found.link)))


def stated_capacity(statement: CapacityStatement) -> Capacity:
    """A capacity from a signed statement."""
    return _from_figures(
        Figures(**{name: getattr(statement, name) for name in Figures.model_fields})
    )


def _miner(entry: MinerEntry) -> Miner:
    if entry.figures is not None:
        return Miner(entry.name, _from_figures(entry.figures), entry.site, entry.signer)
    try:
        data = bytes.fromhex((entry.statement or "").removeprefix("0x"))
        statement = decode_statement(data)
        return Miner(entry.name, stated_capacity(statement), entry.site, statement.signer)
    except (InvalidMessage, ValueError) as error:
        raise InvalidInput(f"the statement of {entry.name!r} is not valid: {error}") from None


def _from_figures(figures: Figures) -> Capacity:
    rates = {
        Arithmetic.FLOAT32: figures.float32_rate,
        Arithmetic.FLOAT64: figures.float64_rate,
        Arithmetic.INT8: figures.int8_rate,
    }
    overhead = figures.overhead_picoseconds / 1e12
    return Capacity(rates, figures.memory_bandwidth, overhead, figures.free_memory)


def _link(figures: LinkFigures) -> Link:
    return Link(figures.round_trip_ms / 1e3, figures.bandwidth, figures.hop_ms / 1e3)


def _between(links: dict[Ends, Link], default: Link, source: Miner, target: Miner) -> Link:
    """The link by names, else by sites, each in the other direction too."""
    for one, other in ((source.name, target.name), (source.site, target.site)):
        for ends in ((one, other), (other, one)):
            if ends in links:
                return links[ends]
    return default
