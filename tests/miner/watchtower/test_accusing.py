"""Nothing is announced that the budget or the account does not allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nesa.chain.abi import ContractCall
from nesa.chain.docket import Docket, fold
from nesa.chain.history import QueryHistory
from nesa.protocol.errors import ExhaustedResource, Unavailable
from nesa.protocol.ids import ONE_NES, Amount
from nesa.protocol.outcomes import members_digest
from nesa.protocol.parameters import RequestLimits
from nesa_miner.disputes.bonds import Bonds
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.watchtower.accusing import Accuser, Means, named_by
from tests.miner.disputes.memory_court import CHALLENGER, signer
from tests.miner.disputes.test_duties import FIRST, OPENED
from tests.miner.watchtower.test_inspecting import REQUEST

LIMITS = RequestLimits(Amount(10_000), 1, 4, Amount(1_000 * ONE_NES), 5_000, 8, 1_000, 1_000)
BOND = Amount(100 * ONE_NES)


@dataclass
class Room:
    """An account with a balance on a chain with a price of gas; it sends nothing."""

    balance: int = BOND
    base_fee: int = 10**9
    sent: list[ContractCall] = field(default_factory=list)

    @property
    def sender(self) -> Any:
        return SimpleNamespace(address=CHALLENGER)

    @property
    def contracts(self) -> Any:
        token = SimpleNamespace(balance_of=self.answer(self.balance))
        parameters = SimpleNamespace(request_limits=self.answer(LIMITS))
        return SimpleNamespace(token=token, parameters=parameters)

    @property
    def connection(self) -> Any:
        return SimpleNamespace(head=self.answer(SimpleNamespace(base_fee=self.base_fee)))

    @staticmethod
    def answer(value: Any) -> Any:
        async def read(*_: object) -> Any:
            return value

        return read


async def affordable(room: Room, means: Means, docket: Docket) -> Amount:
    bonds = Bonds(cast(Courtroom, room), means.bonds, "--max-bonds")
    return await bonds.payable(LIMITS, docket)


async def test_a_bond_within_the_means_is_paid() -> None:
    assert await affordable(Room(), Means(BOND, 5_000_000), {}) == BOND


async def test_bonds_that_are_out_count() -> None:
    with pytest.raises(ExhaustedResource, match="max-bonds"):
        await affordable(Room(), Means(BOND, 1), fold([OPENED]))
    both = Amount(BOND + FIRST.bond)
    assert await affordable(Room(), Means(both, 1), fold([OPENED])) == BOND


async def test_an_account_without_the_bond_says_so() -> None:
    with pytest.raises(ExhaustedResource, match="less than the bond"):
        await affordable(Room(balance=BOND - 1), Means(BOND, 1), {})


async def test_an_answer_that_vanished_is_not_accused() -> None:
    history = cast(QueryHistory, SimpleNamespace(query=REQUEST.query, outcome=None))
    with pytest.raises(Unavailable):
        await Accuser(cast(Courtroom, Room()), Means(BOND, 1)).accuse(history, 0, {})


def test_members_are_those_whom_the_outcome_names() -> None:
    drawn = tuple(map(signer, range(4)))
    for count in range(1, 5):
        assert named_by(members_digest(drawn[:count]), drawn) == drawn[:count]
    assert named_by(members_digest(drawn[1:]), drawn) is None
