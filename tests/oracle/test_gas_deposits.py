"""An oracle that is paid its gas, on a real chain."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from nesa.chain.anvil import development_account
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.economy import GasEscrow
from nesa.chain.sender import Sender
from nesa.protocol.ids import Address
from nesa.protocol.queries import Assurance, QueryStatus
from nesa.protocol.report_gas import SETTLING_GAS
from nesa_oracle.covering import (
    WITHDRAWALS_WORTH,
    WITHDRAWING_GAS,
    covers,
    is_worth_settling,
    is_worth_withdrawing,
)
from tests.oracle.network import Network, honest_bodies, members, operator_key, until
from tests.oracle.test_oracle import answer, first_oracle, oracle

COIN = 10**18


def test_a_deposit_covers_the_report_and_what_brings_it_home() -> None:
    gas, price = 160_000, 7
    enough = (gas + SETTLING_GAS) * price
    assert covers(enough, gas, price)
    assert not covers(enough - 1, gas, price)
    assert not covers(0, gas, price)
    assert covers(0, gas, 0)


def test_small_sums_wait() -> None:
    assert is_worth_settling(SETTLING_GAS * 7 + 1, 7)
    assert not is_worth_settling(SETTLING_GAS * 7, 7)
    assert is_worth_withdrawing(WITHDRAWALS_WORTH * WITHDRAWING_GAS * 7, 7)
    assert not is_worth_withdrawing(WITHDRAWALS_WORTH * WITHDRAWING_GAS * 7 - 1, 7)


async def test_a_report_waits_for_its_gas_and_the_oracle_gains(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    name = first_oracle(network, committees)
    signer = Address(operator_key(name).address)
    escrow, client = GasEscrow.of(connection), Sender(connection, development_account(0))
    before = await connection.balance(signer)
    with capture_logs() as logs:
        async with (
            members(network, honest_bodies(network, committees)),
            oracle(network, connection, name, tmp_path, require_gas_deposit=True),
        ):

            def uncovered() -> int:
                return sum(entry.get("fate") == "UNCOVERED" for entry in logs)

            async def until_uncovered(more: int) -> None:
                wanted = uncovered() + more

                async def is_uncovered() -> bool:
                    return uncovered() >= wanted

                await until(is_uncovered)

            await until_uncovered(1)
            await client.send(escrow.deposit(query.query_id, 1))
            await until_uncovered(2)  # the first may have looked before the deposit
            market = Contracts(connection).market
            assert await market.status_of(query.query_id, "latest") is QueryStatus.OPEN
            await client.send(escrow.deposit(query.query_id, COIN))
            outcome = await answer(connection, query)

            async def is_paid() -> bool:
                return await connection.balance(signer) > before

            await until(is_paid)
    assert outcome.reporter == signer
    assert await escrow.held_for(query.query_id, "latest") == 0
    assert await connection.balance(signer) > before + COIN * 9 // 10


async def test_without_the_setting_a_deposit_is_taken_and_none_is_asked_for(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    name = first_oracle(network, committees)
    escrow = GasEscrow.of(connection)
    async with (
        members(network, honest_bodies(network, committees)),
        oracle(network, connection, name, tmp_path),
    ):
        outcome = await answer(connection, query)
    assert await escrow.credit_of(outcome.reporter, "latest") == 0
