"""Queries on shares on a network of processes: paid by vouchers, with liars, and dead members."""

from __future__ import annotations

import asyncio

import pytest

from nesa import Auto, Client, QueryPlan, Shared
from nesa.cli.demo.cast import MLP
from nesa.cli.demo.liar import replace_by_liar
from nesa.cli.main import main
from nesa.client.sharing import SharedPublicModel, SharedResult
from nesa.devnet.network import Devnet
from nesa.models import reference
from nesa.models.samples import LabelledRows
from nesa.privacy.shared.evidence import decode_share_evidence
from nesa.protocol.digests import boundary_digest
from tests.end_to_end.conftest import PUBLIC
from tests.end_to_end.processes import Observer
from tests.end_to_end.sessions import (
    ROUND_SECONDS,
    is_exact,
    members_of,
    redeemed,
    until_redeemed,
)

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.usefixtures("everybody_honest"),
]

ROWS, AT_ONCE = 100, 4


async def test_two_groups_answer_exactly_and_have_themselves_paid(
    client: Client, devnet: Devnet, shared: SharedPublicModel, rows: LabelledRows
) -> None:
    async with client.shared_session(shared) as session:
        await session.prepare(round_seconds=ROUND_SECONDS)
        first, second, spares = members_of(devnet, session)
        result = await session.ask(rows.features[0], round_seconds=ROUND_SECONDS)
    assert is_exact(shared, rows, 0, result)
    assert not result.refused
    assert not result.unpaid
    assert result.spent * 2 == result.deposit  # two of four seats worked
    for operator in (*first, *second):
        await until_redeemed(client, result.session_id, operator, result.spent // 2)
    for operator in spares:
        assert await redeemed(client, result.session_id, operator) == 0


@pytest.mark.deep
async def test_a_hundred_rows_are_answered_as_the_public_model_answers_them(
    client: Client, shared: SharedPublicModel, rows: LabelledRows
) -> None:
    """R10, with equal integers for its 1e-2: rows through sessions of their own, a few at once."""
    free = asyncio.Semaphore(AT_ONCE)

    async def answered(row: int) -> SharedResult:
        async with free, client.shared_session(shared) as session:
            return await session.ask(rows.features[row], round_seconds=ROUND_SECONDS)

    results = await asyncio.gather(*map(answered, range(ROWS)))
    assert len({result.session_id for result in results}) == ROWS
    wrong = [row for row, result in enumerate(results) if not is_exact(shared, rows, row, result)]
    assert not wrong


async def test_who_holds_the_model_has_critical_data_asked_on_shares(
    client: Client, shared: SharedPublicModel, rows: LabelledRows
) -> None:
    plans = list[QueryPlan]()

    async def note(plan: QueryPlan) -> None:
        plans.append(plan)

    mode = Auto("critical", shared=Shared(shared))
    result = await client.ask(MLP, rows.features[4], privacy=mode, on_plan=note)
    assert isinstance(result, SharedResult)
    assert is_exact(shared, rows, 4, result)
    (plan,) = plans
    assert plan.explanation.row == 2
    assert result.deposit == plan.offered.price
    assert result.rounds == plan.offered.rounds


async def test_the_command_shows_the_deposit_before_it_asks(
    devnet: Devnet, rows: LabelledRows, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = ",".join(map(str, rows.features[5]))
    words = ["query", MLP, numbers, "--shared", str(PUBLIC), "--network"]
    assert await asyncio.to_thread(main, [*words, str(devnet.layout.network)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    before, _, after = said.partition("is open; its groups are drawn")
    assert "deposit 0.6 NES" in before
    assert "of a deposit of 0.6 NES" in after


@pytest.mark.parametrize("place", [0, 1])
async def test_a_member_that_lies_is_named_and_another_stands_in(
    client: Client, devnet: Devnet, shared: SharedPublicModel, rows: LabelledRows, place: int
) -> None:
    async with client.shared_session(shared) as session:
        chosen = members_of(devnet, session)
        liar = await replace_by_liar(devnet, chosen[place][0].name)
        result = await session.ask(rows.features[1], round_seconds=ROUND_SECONDS)
    assert is_exact(shared, rows, 1, result)
    assert "signed sums" in result.refused[liar.signer]
    ((name, stored),) = result.evidence.items()
    assert str(result.session_id) in name
    shown = decode_share_evidence(stored)
    assert shown.statement.signer == liar.signer
    product = shared.model.plan.products[shown.statement.reveal.context.attempt]
    sums = reference.run(product.table, (shown.digits,))
    out_digest = boundary_digest((product.output_edge,), sums)
    assert shown.statement.reveal.out_digest != out_digest
    assert await redeemed(client, result.session_id, liar) == 0
    await until_redeemed(client, result.session_id, chosen[2][0], result.spent // 2)


async def test_members_die_and_one_comes_back_to_its_vouchers(
    client: Client,
    devnet: Devnet,
    observer: Observer,
    shared: SharedPublicModel,
    rows: LabelledRows,
) -> None:
    """The first group's member is killed once it is done: its voucher comes when it is back. The
    second group's is dead from the start."""
    async with client.shared_session(shared) as session:
        (first,), (second,), (spare, _) = members_of(devnet, session)
        await session.prepare(round_seconds=ROUND_SECONDS)
        await observer.kill(first)
        await observer.kill(second)
        result = await session.ask(rows.features[2], round_seconds=ROUND_SECONDS)
        assert is_exact(shared, rows, 2, result)
        assert "does not answer" in result.refused[second.signer]
        assert result.unpaid == (first.signer,)
        await until_redeemed(client, result.session_id, spare, result.spent // 2)
        await observer.restart(first)
        assert await session.pay() == ()
    await until_redeemed(client, result.session_id, first, result.spent // 2)
