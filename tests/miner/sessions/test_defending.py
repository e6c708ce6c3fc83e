"""A member that is sued for what it signed in a session finds its share and shows its work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nesa.models.build import TableBuilder
from nesa.models.disputes.parties import Defender
from nesa.models.disputes.traces import Charge
from nesa.models.folder import load
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.judging import Witness
from nesa.privacy.shared.members import Work
from nesa.privacy.shared.session import SharedModel
from nesa.privacy.shared.wire import ShareReply, ShareRequest, decode_reply, encode_request
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import Unavailable
from nesa.protocol.ids import Digest, QueryId, Timestamp, VersionId
from nesa_miner.disputes.inputs import Recomputer

from .attended import OPERATORS, SESSION, TERMS, Member, products, serving

MODELS = Path(__file__).resolve().parents[3] / "models"


@dataclass(frozen=True)
class Definitions:
    """Tables of the products of a model."""

    tables: dict[VersionId, Table]

    async def outline(self, version_id: VersionId) -> Table:
        return self.tables[version_id]

    async def witness(self, version_id: VersionId, shard: int, tensors: Sequence[bytes]) -> Witness:
        return Witness.of_shard(self.tables[version_id], shard, tensors)


async def listed(_: QueryId) -> tuple[VersionId, ...]:
    return products()


async def no_history(_: QueryId) -> object:
    raise AssertionError("a session is no query of the market")


def recomputer(member: Member, model: SharedModel) -> Recomputer:
    tables = [product.table for product in model.plan.products]
    library = Definitions(dict(zip(products(), tables, strict=True)))
    parts = (library, no_history, lambda _: None, member.journal, listed)
    return Recomputer(*parts)  # type: ignore[arg-type]


def charged(model: SharedModel, number: int, said: ShareReply) -> Charge:
    root = model.plan.products[number].table.operators_root
    return Charge(root, 0, 1, said.in_digest, said.out_digest)


@pytest.mark.parametrize("number", [0, 1])
async def test_a_member_shows_what_it_signed_of_a_seed_and_of_digits(
    tmp_path: Path, number: int
) -> None:
    model = SharedModel(load(MODELS / "breast-cancer-mlp").table)
    member = Member(tmp_path, model, 0, [time.time()])
    edge = model.plan.products[number].input_edge
    digits = bytes(index % (edge.high + 1) for index in range(edge.nbytes))
    shares = (ShareRequest(number, 0, b"\7" * 32, None), ShareRequest(number, 1, None, digits))
    async with serving([member]) as world:
        for share in shares:
            body = await world.reached.ask(member.identity.address, encode_request(share))
            world.purse.settle(OPERATORS[0])
            member.restart()
            charge = charged(model, number, decode_reply(body))
            found = await recomputer(member, model).compute(SESSION.session_id, charge)
            assert Defender(found.witness, 0, found.blind).charge == charge


async def test_what_it_was_not_sent_it_does_not_have(tmp_path: Path) -> None:
    model = SharedModel(load(MODELS / "breast-cancer-mlp").table)
    member = Member(tmp_path, model, 0, [time.time()])
    charge = Charge(bytes(32), 0, 1, bytes(32), bytes(32))
    async with serving([member]):
        with pytest.raises(Unavailable, match="is not here"):
            await recomputer(member, model).compute(SESSION.session_id, charge)


async def test_a_dispute_keeps_a_session_that_would_be_forgotten(tmp_path: Path) -> None:
    model = SharedModel(load(MODELS / "breast-cancer-mlp").table)
    member = Member(tmp_path, model, 0, [time.time()])
    async with serving([member]) as world:
        share = ShareRequest(0, 0, b"\7" * 32, None)
        await world.reached.ask(member.identity.address, encode_request(share))
        ledger, over = member.journal.sessions, Timestamp(TERMS.answer_deadline + 10_000)
        ledger.keep_longer(SESSION.session_id, Timestamp(over + 1))
        ledger.prune(over)
        assert ledger.served(SESSION) == 1
        ledger.prune(Timestamp(over + 2))
        assert ledger.served(SESSION) == 0


def layer(seed: int) -> Table:
    """A product of one shape whose weights are others for each seed."""
    weights = np.random.default_rng(seed).integers(-9, 10, (5, 12))
    parameters = [
        Parameter(ParameterKind.WEIGHTS, weights),
        Parameter(ParameterKind.BIASES, np.zeros(5, np.int64)),
    ]
    builder = TableBuilder([EdgeType(DType.UINT8, (3, 12), 0, 255)])
    return builder.table([builder.add(Opcode.LINEAR, [0], (12, 5), parameters)])


async def test_one_share_of_two_products_is_multiplied_by_the_charged_ones_table(
    tmp_path: Path,
) -> None:
    """A client sends one share to two products of a shape and sues for either: taking the other's
    table for it, an honest member would give up."""
    model = SharedModel(load(MODELS / "breast-cancer-mlp").table)
    member = Member(tmp_path, model, 0, [time.time()])
    tables, digits = (layer(1), layer(2)), bytes(range(36))
    charges = [Defender(Witness.of_shard(one, 0, (digits,)), 0).charge for one in tables]
    ledger = member.journal.sessions
    ledger.open(SESSION, Timestamp(int(time.time()) + 1_000))
    for number, charge in enumerate(charges):
        work = Work(Digest(charge.in_digest), Digest(charge.out_digest), b"")
        ledger.state(SESSION, ShareRequest(number, 0, None, digits), work)
    library = Definitions(dict(zip(products(), tables, strict=False)))
    parts = (library, no_history, lambda _: None, member.journal, listed)
    computing = Recomputer(*parts)  # type: ignore[arg-type]
    for charge in charges:
        found = await computing.compute(SESSION.session_id, charge)
        assert Defender(found.witness, 0).charge == charge
