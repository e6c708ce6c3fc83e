"""A session whose members multiply shares with a product's weights, and suits about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from boa.contracts.vyper.vyper_contract import VyperContract
from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.models.build import TableBuilder
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.judging import Witness
from nesa.protocol.commitments import ShardContext
from nesa.protocol.digests import edges_digest
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import Address, Digest, QueryId, VersionId
from nesa.protocol.queries import Query
from nesa.protocol.sessions import product_terms
from nesa.protocol.statements import Statement
from nesa.protocol.versions import SHARD_ABI, version_id, version_root
from tests.contracts.disputes.disputed import METADATA, PROVABLE, Case, Split, facts_of
from tests.deployment import deployer
from tests.judging import drawn_inputs, witness_of
from tests.market import World, seed_of
from tests.models.disputes.parties import falsified
from tests.reports import Work, statement_of
from tests.shared_sessions import Sessions

NUMBER: Final = 1
"""The product in dispute: no version of the registry, only a name for its table."""


def product() -> Table:
    """One Linear row over digits, as a group computes it."""
    generator = np.random.default_rng(7)
    builder = TableBuilder([EdgeType(DType.UINT8, (3, 12), 0, 255)])
    weights = Parameter(ParameterKind.WEIGHTS, generator.integers(-9, 10, (5, 12)))
    biases = Parameter(ParameterKind.BIASES, np.zeros(5, np.int64))
    return builder.table([builder.add(Opcode.LINEAR, [0], (12, 5), [weights, biases])])


def right_sums() -> Witness:
    """All values of an honest member."""
    table = product()
    return witness_of(table, drawn_inputs(table, np.random.default_rng(3)))


def wrong_sums(truth: Witness) -> Witness:
    """Those of a member one of whose sums is wrong."""
    true = int(truth.values[truth.table.outputs[0]].reshape(-1)[4])
    return falsified(truth, 0, 4, true + 1, hide=False)


@dataclass
class Asked:
    """A session, its members, and what they may say of the product."""

    sessions: Sessions
    terms: Query
    truth: Witness
    version: tuple[str, Digest, bytes, bytes]
    version_id: VersionId

    @property
    def product(self) -> Query:
        """The terms of the product."""
        return product_terms(self.terms, NUMBER, self.version_id)

    def member(self, position: int) -> PrivateKey:
        """Key of the signer at a place of the draw."""
        return self.sessions.drawn(self.terms)[position]

    def stake(self, signer: str) -> int:
        """What the operator of a signer has."""
        world = self.sessions.world
        return int(world.lower.vault.ledger(world.owners[signer]).stake)

    def statement(self, position: int, said: Witness, **elsewhere: Any) -> Statement:
        """What a member signs that holds these values; `elsewhere` changes what they are about."""
        address = Address(self.sessions.contract.address)
        where = (self.sessions.world.chain_id, address, QueryId(self.terms.query_id))
        context = replace(ShardContext(*where, NUMBER, seed_of(self.terms), 0), **elsewhere)
        shard = said.table.shards[0]
        ends = (_boundary(said, shard.inputs), _boundary(said, shard.outputs))
        work = Work(context, (self.member(position),), *ends)
        return statement_of(work, 0, work.commitments())

    def suit(self, court: VyperContract, said: Witness) -> Split:
        """A suit about one member's values."""
        world = self.sessions.world
        return Split(world, court, self.product, (said,), self.version)

    def sue(
        self, court: VyperContract, challenger: str, position: int, said: Witness
    ) -> tuple[Case, str]:
        """Announces and opens a suit; the accused signer beside it."""
        statement = self.statement(position, said)
        case = self.suit(court, said).sue(challenger, 0, statement=statement)
        return case, statement.signer


def _boundary(witness: Witness, numbers: tuple[int, ...]) -> Digest:
    return edges_digest([witness.digest(value) for value in numbers])


def ask_session(world: World, court: VyperContract, client: str, truth: Witness) -> Asked:
    """Opens a session on a list whose second product is the one above."""
    contract = deployer("market/SharedSessions").at(court._immutables.SESSIONS)
    shards = facts_of(truth.table)
    digest = keccak(encode([f"{SHARD_ABI}[]"], [[shard.as_abi() for shard in shards]]))
    version = (world.developer, truth.rows.root, digest, METADATA)
    expected = version_id(Address(world.developer), version_root(truth.rows.root, shards, METADATA))
    listed = contract.list_products([world.versions[PROVABLE], expected])
    sessions = Sessions(world, contract, Digest(listed))
    world.lower.token.approve(contract, 2**256 - 1, sender=client)
    return Asked(sessions, sessions.open(client), truth, version, expected)
