"""Queries, committees and honest work without a chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nesa.chain.committees import DrawnCommittees, Seat
from nesa.protocol.digests import boundary_digest
from nesa.protocol.ids import Address, Amount, Digest, Epoch, QueryId, Timestamp, VersionId
from nesa.protocol.ids import BlockNumber as Number
from nesa.protocol.parameters import QueryParameters
from nesa.protocol.queries import Assurance, Privacy, Query
from nesa_oracle.checks import Case
from tests.oracle.network import EDGES, TENSORS
from tests.reports import Work, keys_of, shard_works, signer_address

CHAIN = 31337
MARKET = Address("0x" + "3" * 40)
SEED = Digest(b"\x42" * 32)
RULES = QueryParameters(7000, 1000, 500, 500, 8, 3, 20, 2, 60, 30, 120, 60, 20)
NOBODY = Address("0x" + "0" * 40)
DIGESTS = [boundary_digest([edge], [data]) for edge, data in zip(EDGES, TENSORS, strict=True)]


def query_with(rules: QueryParameters = RULES, assurance: Assurance = Assurance.AGREED) -> Query:
    """A query to a version of two shards."""
    return Query(
        QueryId(7),
        NOBODY,
        VersionId(b"\1" * 32),
        DIGESTS[0],
        EDGES[-1].pack(),
        assurance,
        Privacy.OPEN,
        2,
        1 if assurance is Assurance.PROVED else 4,
        Amount(100),
        Amount(0),
        Amount(0),
        0,
        Epoch(1),
        0,
        rules.pack(),
        Timestamp(1_000),
        Timestamp(1_060),
        0,
        Number(10),
    )


def committees_of(
    query: Query,
    shards: Sequence[Sequence[str]] = (),
    oracles: Sequence[Seat] = (),
) -> DrawnCommittees:
    """Committees by the names of their members."""
    drawn = tuple(
        tuple(
            Seat(slot, NOBODY, signer_address(keys_of([name])[name]), f"http://{name}", b"")
            for slot, name in enumerate(names)
        )
        for names in shards
    )
    return DrawnCommittees(query, SEED, drawn, tuple(oracles))


def case_of(assurance: Assurance = Assurance.AGREED) -> Case:
    """Two committees of four (or of one prover and a spare)."""
    size = 2 if assurance is Assurance.PROVED else 4
    names = [[f"{shard}{number}" for number in range(size)] for shard in "ab"]
    return Case(CHAIN, MARKET, committees_of(query_with(RULES, assurance), names))


def works_of(case: Case, position: int | None = None, round_: int = 0) -> list[Work]:
    """What the committees did; with `position` that prover alone."""
    chosen = slice(None) if position is None else slice(position, position + 1)
    names = [
        [seat.endpoint.removeprefix("http://") for seat in seats[chosen]]
        for seats in case.committees.shards
    ]
    keys = [[keys_of([name])[name] for name in shard] for shard in names]
    made = shard_works(CHAIN, MARKET, case.query, SEED, keys, DIGESTS[1:], TENSORS[-1])
    return [replace(work, round=round_) for work in made]
