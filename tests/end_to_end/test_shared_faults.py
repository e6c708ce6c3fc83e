"""What goes wrong in a session on processes: members that collude, a group that stops, a divided
one."""

from __future__ import annotations

import numpy as np
import pytest

from nesa import Client
from nesa.chain.session_history import find_session
from nesa.cli.demo.leaks import Trace, find, spellings
from nesa.cli.demo.liar import replace_by_liar
from nesa.client.sharing import SharedPublicModel
from nesa.devnet.network import Devnet
from nesa.models.samples import LabelledRows
from nesa.privacy.shared.evidence import decode_share_evidence
from nesa.privacy.shared.seeds import expanded
from nesa.privacy.shared.wire import ShareRequest
from nesa.protocol.errors import GroupSilent
from nesa.protocol.ids import QueryId
from tests.end_to_end.insides import Insides
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
    pytest.mark.deep,
]

ROW = 50
"""A test row that nobody else asks about."""


def pooled(shared: SharedPublicModel, first: ShareRequest, second: ShareRequest) -> bytes:
    """What the model read, from what two members were sent of its first product."""
    product, edge = shared.model.plan.products[0], shared.model.plan.table.inputs[0]
    assert first.seed is not None
    assert second.digits is not None
    shape = (product.digits.count, *product.shape)
    one = expanded(first.seed, product.input_edge).reshape(shape)
    other = np.frombuffer(second.digits, np.uint8).reshape(shape)
    modulus = product.digits.modulus
    total = product.digits.join(one.astype(np.int64) + other) % modulus
    return edge.encode(np.where(total >= modulus // 2, total - modulus, total))


async def test_members_of_both_groups_that_pool_their_journals_have_the_patients_row(
    client: Client, devnet: Devnet, shared: SharedPublicModel, rows: LabelledRows
) -> None:
    """The mode does not protect from it. Each journal for itself does not hold the row."""
    async with client.shared_session(shared) as session:
        (first,), (second,), _ = members_of(devnet, session)
        await session.ask(rows.features[ROW], round_seconds=ROUND_SECONDS)
    insides = [Insides.of(devnet, member) for member in (first, second)]
    data = shared.encoded(rows.features[ROW])
    secret = spellings(data, shared.public.input_edge.decode(data))
    shares = [one.shares(session.session_id)[0] for one in insides]
    row = pooled(shared, *shares)
    assert row == data
    assert find(secret, [Trace("pooled", row)])
    for one in insides:
        assert not find(secret, one.journal())


async def test_a_group_that_stops_with_its_spares_is_named_and_the_rest_comes_back(
    client: Client,
    devnet: Devnet,
    observer: Observer,
    shared: SharedPublicModel,
    rows: LabelledRows,
) -> None:
    before = await balance(client)
    async with client.shared_session(shared) as session:
        deposit = before - await balance(client)
        (first,), second, spares = members_of(devnet, session)
        await session.prepare(round_seconds=ROUND_SECONDS)
        for operator in (*second, *spares):
            await observer.kill(operator)
        with pytest.raises(GroupSilent, match="group 'second'") as caught:
            await session.ask(rows.features[ROW], round_seconds=ROUND_SECONDS)
    assert caught.value.group == "second"
    spent = deposit // 4  # one of four seats worked
    await until_redeemed(client, session.session_id, first, spent)
    for operator in (*second, *spares):
        assert await redeemed(client, session.session_id, operator) == 0
    await pass_session(client, session.session_id)
    had = await balance(client)
    closed = await client.close_sessions()
    assert session.session_id in closed.session_ids
    assert closed.paid >= deposit - spent  # sessions of before end as well
    assert await balance(client) == had + closed.paid


async def test_a_divided_group_and_a_dead_member_are_replaced_in_groups_of_three(
    client: Client,
    devnet: Devnet,
    observer: Observer,
    shared: SharedPublicModel,
    rows: LabelledRows,
) -> None:
    """Three make a quorum of three: who lies or is silent stops it, and a spare stands in."""
    async with client.shared_session(shared, replicas=3) as session:
        first, second, spares = members_of(devnet, session)
        assert [len(first), len(second), len(spares)] == [3, 3, 2]
        liar = await replace_by_liar(devnet, first[1].name)
        await observer.kill(second[2])
        result = await session.ask(rows.features[ROW], round_seconds=ROUND_SECONDS)
        assert liar.signer not in session.first_group
        assert second[2].signer not in session.second_group
    assert is_exact(shared, rows, ROW, result)
    assert set(result.refused) == {liar.signer, second[2].signer}
    assert "signed sums" in result.refused[liar.signer]
    assert "does not answer" in result.refused[second[2].signer]
    (stored,) = result.evidence.values()
    assert decode_share_evidence(stored).statement.signer == liar.signer
    assert await redeemed(client, result.session_id, liar) == 0


async def balance(client: Client) -> int:
    return await client.contracts.token.balance_of(client.address, "latest")


async def pass_session(client: Client, session_id: QueryId) -> None:
    """Until vouchers of a session do not count any more."""
    opened = await find_session(client.connection, session_id)
    assert opened is not None
    until = opened.query.answer_deadline + opened.query.rules.claim_window + 1
    now = (await client.connection.head()).timestamp
    await client.connection.request("evm_increaseTime", hex(until - now))
    await client.connection.request("evm_mine")
